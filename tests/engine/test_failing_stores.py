"""A remote store that is slow or down, and adapters that can't be loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from simlora.cluster.config import ClusterConfig
from simlora.cluster.failures import Failure
from simlora.engine import RunRecord
from simlora.testing.scenario import Scenario, make_functions, make_workload
from simlora.testing.steps import ConstantSteps

Make = Callable[..., Any]
STEPS = ConstantSteps(0.05, prefill_s=0.2)


@pytest.mark.parametrize("factor", [0.0, 0.5])
def test_a_remote_store_that_is_slow_or_down_delays_what_comes_from_it(factor: float) -> None:
    """For longer than the load takes at half the rate; down, it begins when the store is back."""
    remote = ClusterConfig(nodes=1, gpus_per_node=1, checkpoints="remote")
    scenario = Scenario("serverless-llm", make_functions("llama-2-7b"), make_workload([(0.0, 0, 9, 9)]), {}, remote)
    failure = Failure(what="remote", factor=factor, at_s=0.0, for_s=100.0)
    began_s, quiet_s = backbone_load(scenario.run())
    same_s, slow_s = backbone_load(replace(scenario, failures=[failure]).run())
    fetch_s = scenario.functions[0].backbone.weights_bytes / 1.2e9
    assert same_s == began_s
    assert slow_s - quiet_s == pytest.approx(fetch_s if factor else 100.0 - began_s)


def backbone_load(record: RunRecord) -> tuple[float, float]:
    """When the stage began and ended in which the backbone comes from the remote store and is read."""
    (row,) = [row for row in record.events.to_pylist() if row["stage"] == "backbone"]
    return row["at_s"] - row["seconds"], row["at_s"]


@pytest.mark.parametrize(("failure", "loads"), [({"once": True}, 2), ({"for_s": 12.0}, 2), ({}, 3)])
def test_a_start_fails_on_a_corrupt_adapter(
    world: Make, column: Make, kinds: Make, failure: dict[str, Any], loads: int
) -> None:
    """Its first load ends 8.722 s after the arrival; with two retries it is tried thrice at most."""
    corrupt = {"what": "adapter", "function": "f0", "at_s": 0.0, **failure}
    rows = [(0.0, 0, 100, 10), (0.0, 1, 100, 10)]
    record = world(corrupt, rows=rows, **{"limits.retries": 2}).run()
    assert column(record, "outcome") == ["finished" if failure else "failed", "finished"]
    assert len(kinds(record, "instance_failed")) == loads - bool(failure)
    assert {r["why"] for r in record.events.to_pylist() if r["kind"] == "instance_failed"} == {
        "the adapter of f0 is corrupt"
    }


@pytest.mark.parametrize("loading", ["blocking", "overlapped", "cpu-assisted"])
@pytest.mark.parametrize("memory", ["slots", "paged"])
def test_an_engine_goes_on_without_a_corrupt_adapter(column: Make, kinds: Make, loading: str, memory: str) -> None:
    """f1 comes while f0 decodes, its adapter can't be loaded; f0 ends as if it had not come, but for the wait."""
    rows = [(0.0, 0, 100, 60), (1.0, 1, 100, 10), (1.0, 1, 100, 10), (50.0, 1, 100, 10)]
    scenario = Scenario(
        "vllm",
        make_functions("llama-2-7b", "llama-2-7b"),
        make_workload(rows),
        {"adapter_loading": loading, "adapter_memory": memory, "on_failure": "fail"},
        steps=lambda instance: STEPS,
        failures=[Failure(what="adapter", function="f1", at_s=0.5, for_s=20.0)],
    )
    simulation = scenario.simulation()
    record = simulation.run()
    assert column(record, "outcome") == ["finished", "failed", "failed", "finished"]
    assert [row["function"] for row in record.events.to_pylist() if row["kind"] == "adapter_failed"] == ["f1"]
    assert kinds(record, "instance_failed") == []
    simulation.cluster.check_bytes()
    (engine,) = simulation.cluster.gpus[0].instances.values()
    assert not engine.loading
    assert list(engine.adapters) == scenario.functions
