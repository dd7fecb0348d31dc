"""Adapters of an engine that serves many functions: where they lie, how their loads meet the batch, who leaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from simlora.actions import DropAdapter, LoadAdapter, Plan
from simlora.engine import RunRecord, Simulation
from simlora.errors import PolicyError
from simlora.events import CauseKind
from simlora.testing.scenario import ROW, Scenario, make_functions, make_workload
from simlora.testing.steps import ConstantSteps

STEPS = ConstantSteps(0.05)
ADAPTER_S = 0.0395 + 16_777_216 / 1.852e9
"""Rank 16 on two projections of Llama-2-7B, from storage."""


def engine(*rows: ROW, functions: int = 2, rank: int = 16, backbone: str = "llama-2-7b", **keys: Any) -> Scenario:
    made = make_functions(*[backbone] * functions, rank=rank)
    return Scenario("vllm", made, make_workload(rows), keys, steps=lambda instance: STEPS)


def rows(record: RunRecord, kind: str) -> list[dict[str, Any]]:
    return [row for row in record.events.to_pylist() if row["kind"] == kind]


LATE = [(0.0, 0, 100, 100), (2.02, 1, 100, 10)]
BOUNDARY_S = ADAPTER_S + 0.05 * 40
"""The first step boundary after the second request has arrived."""


def test_a_blocking_load_stops_the_batch() -> None:
    first, second = engine(*LATE).run().requests.to_pylist()
    assert second["started_s"] == pytest.approx(BOUNDARY_S + ADAPTER_S)
    assert first["finished_s"] == pytest.approx(ADAPTER_S + 100 * 0.05 + ADAPTER_S)


def test_an_overlapped_load_stops_nobody_and_its_request_joins_at_a_step_boundary() -> None:
    first, second = engine(*LATE, adapter_loading="overlapped").run().requests.to_pylist()
    assert first["finished_s"] == pytest.approx(ADAPTER_S + 100 * 0.05)
    assert second["started_s"] == pytest.approx(BOUNDARY_S + ADAPTER_S)
    assert second["first_token_s"] == pytest.approx(BOUNDARY_S + 2 * 0.05)
    assert second["finished_s"] == pytest.approx(BOUNDARY_S + 11 * 0.05)


def test_with_the_host_s_help_a_request_joins_at_once_and_steps_are_longer_until_its_adapter_is_there() -> None:
    """One assisted step of 0.07 s covers each load of 0.0486 s; a request of 2.03 s joins at the boundary of 2.07 s."""
    late = make_workload([(0.0, 0, 100, 100), (2.03, 1, 100, 10)])
    keys = {"adapter_loading": "cpu-assisted"}
    scenario = Scenario(
        "vllm", make_functions(*["llama-2-7b"] * 2), late, keys, steps=lambda i: ConstantSteps(0.05, assist_s=0.02)
    )
    first, second = scenario.run().requests.to_pylist()
    assert (first["started_s"], second["started_s"]) == (0.0, pytest.approx(2.07))
    assert second["first_token_s"] == pytest.approx(2.07 + 0.07)
    assert second["finished_s"] == pytest.approx(2.07 + 10 * 0.05 + 0.02)
    assert first["finished_s"] == pytest.approx(100 * 0.05 + 2 * 0.02)


def test_slots_lie_beside_the_pool_and_paged_adapters_in_it() -> None:
    """Four slots as wide as the widest; or the very bytes of what is there, taken from the KV pool."""
    slots, paged = (engine(*LATE, adapter_memory=memory).simulation() for memory in ("slots", "paged"))
    seen: dict[str, tuple[int, int, int]] = {}
    for name, simulation in (("slots", slots), ("paged", paged)):
        simulation.run()
        (at,) = simulation.cluster.gpus[0].instances.values()
        seen[name] = (at.kv.capacity_bytes, at.kv.used_bytes, at.adapter_slots)
    own_bytes, wide_bytes = 16_777_216, 16_777_216 + 6_291_456
    assert seen["paged"][0] - seen["slots"][0] == 4 * wide_bytes
    assert (seen["slots"][1], seen["paged"][1]) == (0, 2 * own_bytes)
    assert (seen["slots"][2], seen["paged"][2]) == (4, 2)


def crowd(functions: int, **keys: Any) -> Scenario:
    """Requests of many adapters of 400 MB each come and go, then a few grow until the pool is full."""
    short = [(2.0 * i, i, 100, 10) for i in range(functions)]
    long = [(2.0 * functions + 0.1 * i, i, 1500, 2600) for i in range(5)]
    return engine(*short, *long, functions=functions, rank=256, backbone="llama-2-13b", **keys)


def test_growing_kv_drives_out_unused_adapters_before_it_drives_out_requests() -> None:
    record = crowd(8, adapter_memory="paged").run()
    evicted, preempted = rows(record, "adapter_evicted"), rows(record, "request_preempted")
    assert record.requests["outcome"].to_pylist() == ["finished"] * 13
    assert evicted
    assert preempted
    unused = [row["function"] for row in evicted if row["at_s"] <= preempted[0]["at_s"]]
    assert unused == ["f5", "f6", "f7"]


def test_who_drops_what_is_unused_keeps_nothing() -> None:
    calls = [(5.0 * i, i % 2, 100, 10) for i in range(6)]
    record = engine(*calls, adapters="drop-unused").run()
    assert len(rows(record, "adapter_loaded")) == len(rows(record, "adapter_evicted")) == 6
    assert len(rows(engine(*calls).run(), "adapter_loaded")) == 2


# ---------------------------------------------------------------------------------------------- loads ahead of demand


def planning(simulation: Simulation, plan: Callable[[Any], Plan]) -> None:
    """Ask ``plan`` once, at the first arrival."""
    policy, asked = simulation.policies["rebalancing"], list[float]()

    def once(causes: Any, view: Any) -> Plan:
        asked.append(view.now_s)
        return plan(view) if len(asked) == 1 else Plan()

    policy.causes, policy.plan = frozenset({CauseKind.ARRIVED}), once


def the_engine(view: Any) -> Any:
    return next(iter(view.gpus[0].instances.values()))


def test_an_adapter_loaded_ahead_is_there_when_its_request_comes_and_stops_nobody() -> None:
    """Planned while the first adapter loads, so it begins beside it."""
    simulation = engine(*LATE).simulation()
    planning(simulation, lambda view: Plan([LoadAdapter(the_engine(view), view.functions[1])]))
    record = simulation.run()
    first, second = record.requests.to_pylist()
    assert first["finished_s"] - first["started_s"] == pytest.approx(100 * 0.05)
    assert second["started_s"] == pytest.approx(first["started_s"] + 40 * 0.05)
    assert [row["on_demand"] for row in rows(record, "adapter_loaded")].count(False) == 1


@pytest.mark.parametrize("memory", ["slots", "paged"])
def test_a_load_planned_in_the_middle_of_a_step_begins_at_its_end(memory: str) -> None:
    simulation = engine((0.0, 0, 100, 100), (2.02, 0, 100, 10), adapter_memory=memory).simulation()
    policy = simulation.policies["rebalancing"]
    policy.causes = frozenset({CauseKind.ARRIVED})

    def plan(causes: Any, view: Any) -> Plan:
        return Plan([LoadAdapter(the_engine(view), view.functions[1])] if view.now_s > 2.0 else [])

    policy.plan = plan
    (_, loaded) = rows(simulation.run(), "adapter_loaded")
    assert loaded["at_s"] - loaded["seconds"] == pytest.approx(BOUNDARY_S)


def drop_in_use(view: Any) -> Plan:
    return Plan([DropAdapter(the_engine(view), view.functions[0])])


def load_twice(view: Any) -> Plan:
    return Plan([LoadAdapter(the_engine(view), view.functions[1])] * 2)


def load_more_than_fit(view: Any) -> Plan:
    return Plan([LoadAdapter(the_engine(view), function) for function in view.functions])


def load_for_another(view: Any) -> Plan:
    return Plan([LoadAdapter(the_engine(view), make_functions("llama-2-13b")[0])])


@pytest.mark.parametrize("bad", [drop_in_use, load_twice, load_more_than_fit, load_for_another])
def test_what_is_pinned_present_or_too_much_is_refused(bad: Callable[[Any], Plan]) -> None:
    simulation = engine(*LATE, functions=7).simulation()
    planning(simulation, bad)
    with pytest.raises(PolicyError, match="NoPreloading at"):
        simulation.run()


def test_a_dropped_adapter_is_loaded_again() -> None:
    simulation = engine((0.0, 0, 100, 10), (5.0, 1, 100, 10), (10.0, 0, 100, 10)).simulation()
    policy = simulation.policies["rebalancing"]
    policy.causes = frozenset({CauseKind.ARRIVED})

    def plan(causes: Any, view: Any) -> Plan:
        return Plan([DropAdapter(the_engine(view), view.functions[0], "told to")] if 4.0 < view.now_s < 6.0 else [])

    policy.plan = plan
    record = simulation.run()
    assert [row["why"] for row in rows(record, "adapter_evicted")] == ["told to"]
    assert [row["function"] for row in rows(record, "adapter_loaded")] == ["f0", "f1", "f0"]


@pytest.mark.parametrize("answer", [(), "all"])
def test_an_adapter_policy_that_names_too_few_or_the_wrong_ones_is_refused(answer: Any) -> None:
    """Four slots, four adapters, a fifth wants in."""
    simulation = engine(*[(5.0 * i, i, 100, 10) for i in range(5)], functions=5).simulation()
    simulation.policies["adapters"].leaving = lambda demand, view: answer and list(view.functions)
    with pytest.raises(PolicyError, match="LeastRecentlyUsed at"):
        simulation.run()
