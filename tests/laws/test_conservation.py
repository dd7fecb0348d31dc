"""Law 8: bytes are conserved, nothing stays pinned, and each request comes to exactly one end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings

from simlora.cluster.processes import Instance
from simlora.engine import Simulation
from simlora.systems import list_systems, load_system
from simlora.testing.scenario import Scenario, make_functions, make_workload
from simlora.testing.strategies import scenarios

pytestmark = pytest.mark.usefixtures("no_hang")
LAW = settings(max_examples=150, deadline=None, derandomize=True)
ENDS = {"finished", "rejected", "timed_out"}
ROUNDING_S = 1e-9
STAMPS = ("arrived_s", "bound_s", "ready_s", "started_s", "first_token_s", "finished_s")


def kept_for_ever(scenario: Scenario) -> bool:
    config = load_system(scenario.system, scenario.overrides)
    return config.keepalive["policy"] == "forever" or bool(config.reserves(1))


def instances(simulation: Simulation) -> Iterator[Instance]:
    return (instance for gpu in simulation.cluster.gpus for instance in gpu.instances.values())


@LAW
@given(scenario=scenarios())
def test_bytes_are_conserved_and_nothing_is_pinned_at_the_end(scenario: Scenario) -> None:
    simulation = scenario.simulation()
    simulation.run()
    simulation.cluster.check_bytes()
    for instance in instances(simulation):
        assert not any((instance.bound, instance.running, instance.held, instance.prefilling))
        assert instance.held_bound_bytes == 0
        cached_bytes = instance.adapter_bytes if instance.adapter_memory is instance.kv else 0
        assert instance.kv is instance.memory or instance.kv.used_bytes == cached_bytes
        assert not any((instance.parked, instance.planned_loads, instance.ranks_in_use))
    for gpu in simulation.cluster.gpus:
        assert gpu.active_batches == 0
        assert all(process.active == 0 for process in gpu.backbones.values())
        assert all(set(process.mappers) <= set(gpu.instances) for process in gpu.backbones.values())
    if kept_for_ever(scenario):
        return  # the run ends with its last request, whatever pre-loading is under way
    assert not any(instance.reserved for instance in instances(simulation))
    for node in simulation.cluster.nodes:
        assert not any((node.storage.transfers, node.remote.transfers, node.fetching))
        assert not any(gpu.bus.transfers for gpu in node.gpus)


@LAW
@given(scenario=scenarios())
def test_where_nothing_is_kept_nothing_is_left(scenario: Scenario) -> None:
    if kept_for_ever(scenario):
        return
    simulation = scenario.simulation()
    simulation.run()
    assert list(instances(simulation)) == []
    cluster = simulation.cluster
    assert not any(place.memory.used_bytes for place in (*cluster.gpus, *cluster.nodes))
    assert cluster.containers == {}


@LAW
@given(scenario=scenarios())
def test_each_request_has_one_end_and_its_times_are_in_order(scenario: Scenario) -> None:
    rows = scenario.run().requests.to_pylist()
    assert len(rows) == len(scenario.workload)
    for row in rows:
        assert row["outcome"] in ENDS
        stamps = [row[name] for name in STAMPS]
        if row["outcome"] == "finished":
            assert stamps == sorted(stamps)
            assert min(row["instance"], row["gpu"], row["batch"] - 1) >= 0
            assert row["cold"] or row["ready_s"] == row["bound_s"]
        else:
            assert all(np.isnan(stamps[3:]))


def peaks(usage: pa.Table) -> dict[int, int]:
    """The most bytes that the rows of each GPU add up to at any time."""
    changes: dict[int, dict[float, int]] = defaultdict(lambda: defaultdict(int))
    for row in usage.to_pylist():
        if row["holder"] != "gpu":
            changes[row["gpu"]][row["from_s"]] += row["device_bytes"]
            changes[row["gpu"]][row["to_s"]] -= row["device_bytes"]
    return {gpu: max(np.cumsum([change[t] for t in sorted(change)])) for gpu, change in changes.items()}


@LAW
@given(scenario=scenarios())
def test_usage_rows_of_a_holder_touch_and_never_exceed_a_gpu(scenario: Scenario) -> None:
    record = scenario.run()
    lives: dict[tuple[str, int, int], list[tuple[float, float]]] = defaultdict(list)
    for row in record.usage.to_pylist():
        assert row["to_s"] > row["from_s"]
        assert row["device_bytes"] >= 0
        assert row["host_bytes"] >= 0
        lives[row["holder"], row["id"], row["gpu"]].append((row["from_s"], row["to_s"]))
    for spans in lives.values():
        spans.sort()
        assert all(end_s == begin_s for (_, end_s), (begin_s, _) in pairwise(spans))
    there_bytes = record.facts["gpu_capacity_bytes"]
    assert all(peak <= there_bytes[gpu] for gpu, peak in peaks(record.usage).items())


@pytest.mark.parametrize("system", list_systems())
@pytest.mark.parametrize("sharing", ["none", "ipc"])
def test_usage_accounts_for_every_byte_second_of_a_gpu(
    system: str, sharing: str, byte_seconds: dict[str, float]
) -> None:
    """What the rows of a GPU add up to over time is what was taken of its memory over time."""
    functions = make_functions("llama-2-7b", "llama-2-7b", "llama-2-13b")
    rows = [(0.7 * i**1.7, i % 3, 300, 40) for i in range(40)]
    overrides: dict[str, Any] = {"limits.gpus": 2, "keepalive": "forever"}
    if load_system(system).sharing != "in-process":
        overrides = {"sharing": sharing}
    cluster = Scenario(system, functions, make_workload(rows)).cluster.model_copy(update={"gpus_per_node": 2})
    simulation = Scenario(system, functions, make_workload(rows), overrides, cluster).simulation()
    usage = simulation.run().usage.to_pylist()
    for gpu in simulation.cluster.gpus:
        gpu.memory.give(0)
        told = sum(
            row["device_bytes"] * (row["to_s"] - row["from_s"])
            for row in usage
            if row["gpu"] == gpu.index and row["holder"] != "gpu"
        )
        assert told == pytest.approx(byte_seconds[gpu.memory.name], rel=1e-9)
    assert sum(byte_seconds.values()) > 0
