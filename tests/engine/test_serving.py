"""A serving engine: admission at step boundaries, adapter slots, growing KV and who leaves for it."""

from __future__ import annotations

from typing import Any

import pytest

from simlora.actions import Dispatch, Wait
from simlora.engine import RunRecord
from simlora.engine.making_room import RoomMaker
from simlora.testing.scenario import ROW, Scenario, make_functions, make_workload
from simlora.testing.steps import ConstantSteps

STEPS = ConstantSteps(0.05)
ADAPTER_S = 0.0395 + 16_777_216 / 1.852e9
"""Rank 16 on two projections of Llama-2-7B, from storage."""


def vllm(
    *rows: ROW, functions: int = 1, backbone: str = "llama-2-7b", limit: int | None = None, **keys: Any
) -> Scenario:
    made = make_functions(*[backbone] * functions)
    return Scenario("vllm", made, make_workload(rows, limit), keys, steps=lambda instance: STEPS)


def times(record: RunRecord, name: str) -> list[float]:
    values: list[float] = record.requests[name].to_pylist()
    return values


def test_an_engine_that_is_always_on_only_waits_for_the_adapter() -> None:
    record = vllm((1.0, 0, 100, 10), (9.0, 0, 100, 10)).run()
    assert times(record, "started_s") == pytest.approx([1.0 + ADAPTER_S, 9.0])
    assert times(record, "finished_s") == pytest.approx([1.5 + ADAPTER_S, 9.5])
    assert record.requests["cold"].to_pylist() == [False, False]


def test_who_arrives_joins_at_the_next_step_boundary_and_leaves_at_its_own_end() -> None:
    record = vllm((0.0, 0, 100, 100), (2.02, 0, 100, 10)).run()
    boundary_s = ADAPTER_S + 0.05 * 40
    assert times(record, "started_s")[1] == pytest.approx(boundary_s)
    assert times(record, "finished_s") == pytest.approx([ADAPTER_S + 5.0, boundary_s + 0.5])


def test_who_arrives_while_an_adapter_is_loading_joins_at_the_first_boundary() -> None:
    record = vllm((0.0, 0, 100, 200), (0.001, 0, 100, 200)).run()
    first_s, second_s = times(record, "started_s")
    assert first_s == pytest.approx(ADAPTER_S)
    assert first_s <= second_s <= first_s + 0.05 + 1e-9


def adapter_loads(record_of: Scenario) -> tuple[RunRecord, list[str]]:
    """The adapters loaded into slots, in order."""
    simulation = record_of.simulation()
    loads, load = list[str](), simulation.backend.load_adapter

    def noted(instance: Any, function: Any, source: Any) -> Any:
        loads.append(function.id)
        return load(instance, function, source)

    simulation.backend.load_adapter = noted  # type: ignore[method-assign]
    return simulation.run(), loads


def test_the_slot_used_least_recently_is_given_up() -> None:
    """Four slots: after 0 1 2 3 0, the fifth takes the slot of 1, and then 0 is still there while 1 is not."""
    order = [0, 1, 2, 3, 0, 4, 0, 1]
    calls = [(5.0 * i, function, 100, 10) for i, function in enumerate(order)]
    _, loads = adapter_loads(vllm(*calls, functions=5))
    assert loads == ["f0", "f1", "f2", "f3", "f4", "f1"]


def test_a_request_without_a_slot_does_not_hold_up_those_behind_it() -> None:
    """Four adapters run for long; the fifth must wait for a slot, a later request of the first needs none."""
    calls = [(0.001 * f, f, 100, 400) for f in range(4)] + [(3.0, 4, 100, 10), (3.1, 0, 100, 10)]
    record = vllm(*calls, functions=5).run()
    fifth, behind = record.requests.to_pylist()[4:]
    assert behind["started_s"] == pytest.approx(3.1, abs=0.06)
    first_slot_s = min(row["finished_s"] for row in record.requests.to_pylist()[:4])
    assert fifth["started_s"] == pytest.approx(first_slot_s + ADAPTER_S, abs=1e-9)


def test_a_long_prompt_is_computed_in_chunks_between_the_steps_of_the_others() -> None:
    """Six steps for 350 tokens at 64 a step, one of which goes to the request that decodes."""
    batching = {"policy": "vllm", "max_num_seqs": 8, "chunk_tokens": 64}
    record = vllm((0.0, 0, 10, 100), (1.0, 0, 350, 3), batching=batching).run()
    long, chunked = record.requests.to_pylist()
    assert chunked["first_token_s"] - chunked["started_s"] == pytest.approx(6 * 0.05)
    assert long["finished_s"] == pytest.approx(ADAPTER_S + 100 * 0.05)


def crowd(**keys: Any) -> Scenario:
    """Twenty requests that will together want twice the KV there is."""
    rows = [(0.01 * i, 0, 800, 1500 + 10 * i) for i in range(20)]
    return vllm(*rows, backbone="llama-2-13b", **keys)


def test_when_kv_runs_out_the_newest_leaves_and_all_finish_with_all_their_tokens() -> None:
    simulation, fullest = crowd().simulation(), [0.0]

    def watch(timer: Any) -> None:
        (engine,) = simulation.cluster.gpus[0].instances.values()
        fullest[0] = max(fullest[0], engine.kv.used_bytes / engine.kv.capacity_bytes)
        simulation.env.timeout(0.5).callbacks.append(watch)

    watch_from = simulation.env.timeout(1.0)
    watch_from.callbacks.append(watch)
    record = simulation.run()
    assert record.requests["outcome"].to_pylist() == ["finished"] * 20
    preempted = record.requests["preemptions"].to_pylist()
    assert sum(preempted) > 5
    assert preempted[0] == 0
    events = [row for row in record.events.to_pylist() if row["kind"] == "request_preempted"]
    assert sum(preempted) == len(events)
    assert {row["why"] for row in events} == {"admitted last"}
    assert 0.9 < fullest[0] <= 1.0


def test_who_came_back_keeps_its_first_token_and_repeats_no_token() -> None:
    record = crowd().run()
    for row in record.requests.to_pylist():
        assert row["started_s"] < row["first_token_s"] < row["finished_s"]
        # a token takes a step of 0.05 s, so none can finish sooner than its own tokens after its start
        assert row["finished_s"] - row["started_s"] >= 0.05 * row["output_tokens"] - 1e-9
    untouched = [row for row in record.requests.to_pylist() if not row["preemptions"]]
    assert untouched
    for row in untouched:
        assert row["finished_s"] - row["first_token_s"] == pytest.approx(0.05 * (row["output_tokens"] - 1), rel=0.05)


def test_where_all_kv_is_reserved_nobody_leaves() -> None:
    assert sum(crowd(reserve="max_new_tokens").run().requests["preemptions"].to_pylist()) == 0


def test_a_batch_that_ends_as_one_answers_all_at_its_end() -> None:
    functions = make_functions("llama-2-7b")
    rows = [(0.0, 0, 100, 10), (0.1, 0, 100, 40), (0.2, 0, 100, 20)]
    batching = {"policy": "fixed", "size": 3, "delay_s": 1.0}
    world = Scenario(
        "serverless-lora", functions, make_workload(rows), {"batching": batching}, steps=lambda instance: STEPS
    )
    assert len(set(times(world.run(), "finished_s"))) == 1
    own = Scenario(
        "serverless-lora",
        functions,
        make_workload(rows),
        {"batching": batching, "completion": "own_end"},
        steps=lambda instance: STEPS,
    ).run()
    started_s = times(own, "started_s")[0]
    assert times(own, "finished_s") == pytest.approx([started_s + 0.5, started_s + 2.0, started_s + 1.0])


def test_a_policy_that_waits_at_an_instance_is_asked_again_at_its_time() -> None:
    simulation = vllm((1.0, 0, 100, 10), (1.3, 0, 100, 10)).simulation()
    policy, asked = simulation.policies["batching"], list[float]()

    def wait_for_more(at: Any, ready: Any, view: Any) -> Any:
        asked.append(view.now_s)
        return Wait(2.0) if view.now_s < 2.0 else type(policy).next_batch(policy, at, ready, view)

    policy.next_batch = wait_for_more
    record = simulation.run()
    assert asked[:3] == [1.0, 1.3, 2.0]
    assert times(record, "started_s") == pytest.approx([2.0 + ADAPTER_S] * 2)


def test_a_policy_that_asks_to_be_asked_again_is_asked_after_so_many_steps() -> None:
    simulation = vllm((0.0, 0, 100, 50)).simulation()
    policy, asked = simulation.policies["batching"], list[float]()

    def every_7_steps(at: Any, ready: Any, view: Any) -> Any:
        asked.append(view.now_s)
        if at.running:
            return Dispatch((), ask_again_after_steps=7)
        return type(policy).next_batch(policy, at, ready, view)._replace(ask_again_after_steps=7)

    policy.next_batch = every_7_steps
    simulation.run()
    assert asked[1:] == pytest.approx([ADAPTER_S + 0.35 * k for k in range(1, 8)])


def test_kv_grows_by_a_token_for_each_step_that_decodes() -> None:
    """From the prompt and a block of 16; the prefilling step yields a token whose KV the next step writes."""
    simulation = vllm((0.0, 0, 100, 30)).simulation()
    policy, held = simulation.policies["batching"], list[int]()
    per_token = simulation.functions[0].backbone.kv_bytes_per_token

    def every_7_steps(at: Any, ready: Any, view: Any) -> Any:
        if at.running:
            held.append(at.kv.used_bytes // per_token)
            return Dispatch((), ask_again_after_steps=7)
        return type(policy).next_batch(policy, at, ready, view)._replace(ask_again_after_steps=7)

    policy.next_batch = every_7_steps
    simulation.run()
    assert held == [116 + 6, 116 + 13, 116 + 20, 116 + 27]


def test_a_policy_may_take_a_request_out_and_put_it_back() -> None:
    """After 1 s it leaves for another, which came later; once that has ended it goes on with what it had."""
    simulation = vllm((0.0, 0, 100, 100), (1.0, 0, 100, 20)).simulation()
    policy = simulation.policies["batching"]

    def shortest_only(at: Any, ready: Any, view: Any) -> Any:
        by_age = sorted((*ready.in_order(), *(r.request for r in at.running.values())), key=lambda r: -r.index)
        (best, *_), running = by_age, [r.request for r in at.running.values()]
        if best in running:
            return Wait()
        return Dispatch([best], preempt=running)

    policy.next_batch = shortest_only
    first, second = simulation.run().requests.to_pylist()
    assert (first["preemptions"], second["preemptions"]) == (1, 0)
    assert second["finished_s"] - second["started_s"] == pytest.approx(1.0)
    # 100 steps of its own, and those of the other in between
    assert first["finished_s"] == pytest.approx(ADAPTER_S + 0.05 * (100 + 20))


def test_room_is_made_on_the_gpu_that_lacks_it_and_only_if_it_lacks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    short = list[int]()
    make = RoomMaker.make

    def noted(self: RoomMaker, place: Any, wanted_bytes: int, keep: Any) -> bool:
        short.append(wanted_bytes - place.memory.free_bytes)
        return make(self, place, wanted_bytes, keep)

    monkeypatch.setattr(RoomMaker, "make", noted)
    functions = make_functions(*["llama-2-13b"] * 2)
    rows = [(0.0, 0, 100, 10), (20.0, 1, 100, 10), (40.0, 0, 100, 10)]
    own = {"containers": "dedicated", "placement": "most-free", "preloading": "none"}
    record = Scenario("insta-infer", functions, make_workload(rows), own, steps=lambda instance: STEPS).run()
    assert record.requests["outcome"].to_pylist() == ["finished"] * 3
    assert len(short) == 2
    assert min(short) > 0
    stops = [row for row in record.events.to_pylist() if row["why"] == "least recently used"]
    assert [(row["instance"], row["at_s"]) for row in stops] == [(0, 20.0), (1, 40.0)]


def test_the_one_used_least_recently_makes_room() -> None:
    """Three 7B models fill the card; the first was used again since, so the fourth takes the place of the second."""
    functions = make_functions(*["llama-2-7b"] * 4)
    rows = [(0.0, 0, 100, 10), (15.0, 1, 100, 10), (30.0, 2, 100, 10), (45.0, 0, 100, 10), (50.0, 3, 100, 10)]
    own = {"containers": "dedicated", "placement": "most-free", "preloading": "none"}
    record = Scenario("insta-infer", functions, make_workload(rows), own, steps=lambda instance: STEPS).run()
    stops = [row for row in record.events.to_pylist() if row["why"] == "least recently used"]
    assert [(row["function"], row["at_s"]) for row in stops] == [("f1", 50.0)]
