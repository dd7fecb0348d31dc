"""dLoRA's rebalancing: who goes where, and what the engine makes of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pandas.testing import assert_frame_equal

from simlora.actions import Migrate, Plan, ToInstance
from simlora.cluster.config import ClusterConfig
from simlora.engine import RunRecord, Simulation
from simlora.errors import PolicyError
from simlora.policies.preloading.balance import share_out, whole
from simlora.testing.scenario import ROW, Scenario, make_functions, make_workload
from simlora.testing.steps import ConstantSteps

PLENTY: dict[str, Any] = {"exec_s": 5.0, "move_s": 0.05, "s_per_gb": 1 / 32, "gap": 0.01, "node_limit": 2000}


def shared(counts: list[list[int]], kv_gb: float = 1.0, **keys: Any) -> np.ndarray:
    found = np.array(counts, float)
    keys = {"room_gb": [99.0] * found.shape[1], "places": [9] * found.shape[1], **PLENTY, **keys}
    shares = share_out(found, np.full(len(found), kv_gb), **keys)
    assert shares is not None
    return shares * found.sum(axis=1, keepdims=True)


def test_equal_loads_stay_as_they_are() -> None:
    np.testing.assert_allclose(shared([[4, 0], [0, 4]]), [[4, 0], [0, 4]], atol=0.1)


def test_what_one_has_too_many_of_goes_to_the_other() -> None:
    np.testing.assert_allclose(shared([[8, 0], [8, 0]]).sum(axis=0), [8, 8], atol=0.2)


def test_no_replica_gets_more_adapters_than_it_has_places_for() -> None:
    found = shared([[6, 0], [6, 0], [6, 0]], places=[2, 1])
    assert [(found[:, j] > 0.01).sum() <= places for j, places in enumerate((2, 1))] == [True, True]


def test_kv_beyond_a_replicas_memory_counts_as_time() -> None:
    found = shared([[8, 8]], kv_gb=160.0, room_gb=[150.0, 10.0], s_per_gb=10.0)
    assert found[0, 0] > 12


@pytest.mark.parametrize(
    ("shares", "total", "parts"),
    [([0.5, 0.5], 7, [4, 3]), ([1.0, 0.0], 3, [3, 0]), ([0.34, 0.33, 0.33], 10, [4, 3, 3])],
)
def test_shares_become_whole_numbers_with_the_same_sum(shares: list[float], total: int, parts: list[int]) -> None:
    assert whole(np.array(shares), total) == parts


# ---------------------------------------------------------------------------------------------- through the engine

STEPS = ConstantSteps(0.1)
PAIR = ClusterConfig(nodes=1, gpus_per_node=2)


def simulation(rows: list[ROW], stepwise: bool = False, **keys: Any) -> Simulation:
    functions = make_functions("llama-2-7b", "llama-2-7b")
    world = Scenario("dlora", functions, make_workload(rows, 900), keys, PAIR, steps=lambda instance: STEPS)
    return world.simulation(stepwise)


def moved(made: Simulation, at_s: float, choose: Any) -> RunRecord:
    """One move at a time: ``choose`` names the request among those of the first replica."""
    policy = made.policies["rebalancing"]
    done: list[bool] = []

    def plan(causes: Any, view: Any) -> Plan:
        first, second = (view.gpus[index].instances for index in (0, 1))
        if not done and view.now_s >= at_s:
            done.append(True)
            source, to = next(iter(first.values())), next(iter(second.values()))
            return Plan([Migrate(choose(source), source, to, "told to")])
        return Plan(wake_at_s=view.now_s + 1.0 if not done else None)

    policy.plan = plan
    made.policies["routing"].route = _to_the_first
    return made.run()


def _to_the_first(work: Any, function: Any, view: Any) -> ToInstance:
    return ToInstance(next(iter(view.gpus[0].instances.values())))


def running(source: Any) -> Any:
    return next(iter(source.running.values())).request


def test_a_request_that_runs_goes_on_elsewhere_with_what_it_has_produced() -> None:
    rows: list[ROW] = [(0.0, 0, 100, 100), (0.0, 1, 100, 100)]
    record = moved(simulation(rows), 5.0, running)
    first, second = record.requests.to_pylist()
    assert (first["outcome"], first["preemptions"], second["preemptions"]) == ("finished", 1, 0)
    assert second["finished_s"] == pytest.approx(10.0, abs=0.5)
    assert 0 < first["finished_s"] - second["finished_s"] < 0.5
    (event,) = [row for row in record.events.to_pylist() if "migrates" in row["why"]]
    assert event["why"] == "migrates to <instance 1>"


def test_merged_equals_stepwise_when_requests_migrate() -> None:
    rows: list[ROW] = [(0.37 * i + 0.0001, i % 2, 50 + 31 * i, 25 + 7 * i) for i in range(12)]
    keys = {"rebalancing": {"policy": "dlora-migration", "interval_s": 0.7, "overload": 1}}
    both = [simulation(rows, step, **keys) for step in (False, True)]
    for made in both:
        made.policies["routing"].route = _to_the_first
    whole_run, stepwise = (made.run() for made in both)
    assert sum(whole_run.requests["preemptions"].to_pylist()) > 0
    for name in ("requests", "usage", "events"):
        frames = (getattr(record, name).to_pandas() for record in (stepwise, whole_run))
        assert_frame_equal(*frames, check_exact=True)


def test_a_burst_on_one_replica_is_shared_with_the_other() -> None:
    rows: list[ROW] = [(0.01 * i, i % 2, 100, 400) for i in range(40)]
    counts = []
    for rebalancing in ("none", "dlora-migration"):
        made = simulation(rows, rebalancing=rebalancing)
        made.policies["routing"].route = _to_the_first
        made.run()
        counts.append(made.backend._batches.keys())  # type: ignore[attr-defined]
    assert [len(used) for used in counts] == [1, 2]


@pytest.mark.parametrize(
    ("source", "to", "message"),
    [
        (0, 0, "must be another that is up"),
        (1, 0, "neither waits nor runs"),
        (0, None, "not an instance of this cluster"),
    ],
)
def test_a_move_that_makes_no_sense_is_refused(source: int, to: int | None, message: str) -> None:
    made = simulation([(0.0, 0, 100, 100)])
    made.policies["routing"].route = _to_the_first

    def plan(causes: Any, view: Any) -> Plan:
        if view.now_s < 5.0:
            return Plan(wake_at_s=5.0)
        replicas = [next(iter(view.gpus[index].instances.values())) for index in (0, 1)]
        request = running(replicas[0])
        return Plan([Migrate(request, replicas[source], replicas[to] if to is not None else None)])  # type: ignore[arg-type]

    made.policies["rebalancing"].plan = plan
    with pytest.raises(PolicyError, match=message):
        made.run()
