"""The front end: time-outs of what waits, rejection of what can never run, work held back and looked at again."""

from __future__ import annotations

from typing import Any

import pytest

from simlora.actions import ColdStart, Hold, Reject, Wait
from simlora.cluster.config import ClusterConfig
from simlora.systems import list_systems
from simlora.testing.scenario import ROW, Scenario, make_functions, make_workload
from simlora.testing.steps import ConstantSteps

STEPS = ConstantSteps(0.05)


def world(system: str, *rows: ROW, backbones: int = 1, limit: int | None = None, **overrides: Any) -> Scenario:
    functions = make_functions(*["llama-2-13b"] * backbones)
    return Scenario(system, functions, make_workload(rows, limit), overrides, steps=lambda instance: STEPS)


@pytest.mark.parametrize("system", list_systems())
def test_a_request_whose_kv_fits_no_gpu_is_rejected_at_once_and_nothing_starts_for_it(system: str) -> None:
    """48.3 GB less 26 of weights hold some 25,000 tokens of 819,200 bytes."""
    record = world(system, (0.0, 0, 100, 10), (5.0, 0, 30_000, 10), limit=10).run()
    assert record.requests["outcome"].to_pylist() == ["finished", "rejected"]
    (event,) = [row for row in record.events.to_pylist() if row["kind"] == "request_rejected"]
    assert (event["at_s"], event["request"], event["function"]) == (5.0, 1, "f0")
    assert all(value != value for value in (record.requests[name].to_pylist()[1] for name in ("bound_s", "started_s")))


def test_what_a_request_may_produce_counts_not_what_it_does() -> None:
    record = world("serverless-lora", (0.0, 0, 100, 10), limit=30_000).run()
    assert record.requests["outcome"].to_pylist() == ["rejected"]


def test_what_waits_too_long_times_out_and_what_is_bound_does_not() -> None:
    """One instance serves one at a time: the first is bound at 0, the other two wait for the 20 s that it takes."""
    traffic = [(0.0, 0, 100, 400), (1.0, 0, 100, 10), (30.0, 0, 100, 10)]
    limits = {"limits.instances_per_function": 1, "limits.queue_timeout_s": 5.0}
    simulation = world("insta-infer", *traffic, preloading="none", **limits).simulation()
    record = simulation.run()
    assert record.requests["outcome"].to_pylist() == ["finished", "timed_out", "finished"]
    assert simulation.cluster.waiting(simulation.functions[0]) == 0


def test_time_outs_come_at_their_time_and_in_order() -> None:
    simulation = world(
        "insta-infer", (0.0, 0, 1, 1), (1.0, 0, 1, 1), (1.5, 0, 1, 1), **{"limits.queue_timeout_s": 2.0}
    ).simulation()
    simulation.policies["routing"].route = lambda work, function, view: Hold()
    waiting = list[tuple[float, int]]()
    for at_s in (1.9, 2.1, 2.9, 3.1, 3.4):
        simulation.env.timeout(at_s).callbacks.append(
            lambda timer: waiting.append((simulation.env.now, simulation.cluster.waiting(simulation.functions[0])))
        )
    record = simulation.run()
    assert waiting == [(1.9, 3), (2.1, 2), (2.9, 2), (3.1, 1), (3.4, 1)]
    assert simulation.env.now == 3.5
    assert record.requests["outcome"].to_pylist() == ["timed_out"] * 3


def test_a_time_out_that_is_over_does_not_keep_the_run_going() -> None:
    simulation = world("insta-infer", (0.0, 0, 1, 1), **{"limits.queue_timeout_s": 5000.0}).simulation()
    simulation.run()
    assert simulation.env.now < 200.0


def test_a_route_may_turn_work_away() -> None:
    simulation = world("serverless-lora", (0.0, 0, 1, 1), (20.0, 0, 1, 1)).simulation()
    route = simulation.policies["routing"].route
    simulation.policies["routing"].route = lambda work, function, view: (
        Reject("too early") if view.now_s < 10.0 else route(work, function, view)
    )
    record = simulation.run()
    assert record.requests["outcome"].to_pylist() == ["rejected", "finished"]
    assert [row["why"] for row in record.events.to_pylist() if row["kind"] == "request_rejected"] == ["too early"]


def test_held_work_is_looked_at_again_when_an_instance_falls_idle() -> None:
    traffic = [(0.0, 0, 100, 40), (0.1, 0, 100, 40), (0.2, 0, 100, 40)]
    one_at_a_time = {"limits.instances_per_function": 1, "batching": {"policy": "fifo", "size": 1}}
    rows = world("insta-infer", *traffic, **one_at_a_time).run().requests.to_pylist()
    assert [row["started_s"] for row in rows[1:]] == pytest.approx([row["finished_s"] for row in rows[:-1]])


def test_work_that_is_short_of_memory_starts_when_some_is_freed() -> None:
    """Two models of 26 GB, one GPU of 48: the second starts when the first's keep-alive is over, not before."""
    traffic = [(0.0, 0, 100, 10), (20.0, 1, 100, 10)]
    kept = {"offloading": "none", "keepalive": {"policy": "fixed", "idle_s": 40.0}, "preloading": "none"}
    record = world("insta-infer", *traffic, backbones=2, placement="most-free", **kept).run()
    first_s, second = record.requests["finished_s"].to_pylist()[0], record.requests.to_pylist()[1]
    assert second["bound_s"] == pytest.approx(first_s + 40.0)


def test_a_policy_is_asked_again_when_its_wait_is_over() -> None:
    simulation = world("serverless-lora", (3.0, 0, 1, 1), (3.5, 0, 1, 1)).simulation()
    policy, asked = simulation.policies["batching"], list[float]()

    def wait_until_7(at: Any, ready: Any, view: Any) -> Any:
        if at is None:
            asked.append(view.now_s)
            if view.now_s < 7.0:
                return Wait(7.0)
        return type(policy).next_batch(policy, at, ready, view)

    policy.next_batch = wait_until_7
    record = simulation.run()
    assert asked == [3.0, 3.5, 7.0]
    assert record.requests["bound_s"].to_pylist() == [7.0, 7.0]


def test_an_earlier_wait_takes_the_place_of_a_later_one() -> None:
    simulation = world("serverless-lora", (3.0, 0, 1, 1), (3.5, 0, 1, 1)).simulation()
    policy, asked = simulation.policies["batching"], list[float]()

    def wait(at: Any, ready: Any, view: Any) -> Any:
        if at is None:
            asked.append(view.now_s)
            if view.now_s < 4.0:
                return Wait(9.0 if len(ready) == 1 else 5.0)
        return type(policy).next_batch(policy, at, ready, view)

    policy.next_batch = wait
    simulation.run()
    assert asked[:3] == [3.0, 3.5, 5.0]


def test_a_cold_start_beyond_the_bound_of_a_function_waits() -> None:
    cluster = ClusterConfig(nodes=1, gpus_per_node=4)
    traffic = [(0.001 * i, 0, 100, 100) for i in range(6)]
    functions = make_functions("llama-2-7b")
    bound = {"limits.instances_per_function": 2, "batching": {"policy": "fifo", "size": 1}}
    world_of_four = Scenario(
        "insta-infer", functions, make_workload(traffic), bound, cluster, steps=lambda instance: STEPS
    )
    simulation = world_of_four.simulation()
    simulation.policies["routing"].route = lambda work, function, view: next(
        (
            type(simulation.policies["routing"]).route(simulation.policies["routing"], work, function, view)
            for i in view.instances_of(function).values()
            if i.ready and not i.bound and not i.running
        ),
        ColdStart(),
    )
    record = simulation.run()
    assert len({row["instance"] for row in record.requests.to_pylist()}) == 2
    assert record.requests["outcome"].to_pylist() == ["finished"] * 6
