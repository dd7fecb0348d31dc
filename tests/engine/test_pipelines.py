"""Pipelines: what their parts hold, load and take, and how an instance comes to serve alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from simlora.actions import Placement
from simlora.cluster.config import ClusterConfig
from simlora.cluster.failures import Failure
from simlora.engine import RunRecord, Simulation, StalledError
from simlora.errors import PolicyError
from simlora.latency import load_backbone, load_engine, load_node_type, load_profile
from simlora.policies.placement import MostFree
from simlora.results.load import Cell
from simlora.results.one_request import story_of
from simlora.results.trace_events import trace_events
from simlora.testing import Scenario, make_functions, make_workload
from simlora.testing.scenario import ROW

FOUR = ClusterConfig(nodes=4, gpus_per_node=1, checkpoints="remote")
SEVEN = load_backbone("llama-2-7b")
PROFILE = load_profile("l40s", "hf-eager-prefetched")
STEPS = PROFILE.model(SEVEN, ("q_proj", "v_proj"))
HOPS = load_engine("hf-eager-prefetched").pipeline
REMOTE_PER_S = load_node_type(FOUR.node_type).remote_bytes_per_s


class Over(MostFree):
    """Every instance on the first GPU of these, the others running parts of it."""

    gpus: tuple[int, ...] = ()

    def place(self, function: Any, places: Any, view: Any) -> Placement:
        first, *others = (view.gpus[index] for index in self.gpus if index < len(view.gpus))
        return Placement(first, pipeline=others)


def simulation(
    rows: Sequence[ROW], gpus: tuple[int, ...], cluster: ClusterConfig = FOUR, failures: Any = (), **overrides: Any
) -> Simulation:
    functions = make_functions(*[SEVEN] * (1 + max(row[1] for row in rows)))
    world = Scenario("hydraserve", functions, make_workload(rows), overrides, cluster, failures=failures)
    made = world.simulation()
    made.policies["placement"].__class__ = Over
    made.policies["placement"].gpus = gpus
    return made


def of_kind(record: RunRecord, kind: str) -> list[dict[str, Any]]:
    return [row for row in record.events.to_pylist() if row["kind"] == kind]


def held(record: RunRecord, gpu: int, at_s: float) -> int:
    rows = record.usage.to_pylist()
    return sum(row["device_bytes"] for row in rows if row["gpu"] == gpu and row["from_s"] <= at_s < row["to_s"])


def test_every_part_is_loaded_on_its_own_node_and_the_rest_beside_the_steps() -> None:
    record = simulation([(0.0, 0, 100, 400)], (1, 3, 0)).run()
    (row,) = record.requests.to_pylist()
    (gathered,) = of_kind(record, "pipeline_gathered")
    part_bytes = -(-SEVEN.weights_bytes // 3)
    part_s = PROFILE.load_s(part_bytes, ("ssd", "device"), "sllm", load_node_type(FOUR.node_type))
    loads = [one for one in of_kind(record, "stage_finished") if one["stage"] == "backbone"]
    assert sorted(one["gpu"] for one in loads) == [0, 1, 3]
    for loaded in loads:
        assert loaded["seconds"] == pytest.approx(part_s), "its fetch was over before, as its start took longer"
    assert gathered["bytes"] == SEVEN.weights_bytes - part_bytes
    assert gathered["at_s"] - gathered["seconds"] == pytest.approx(row["ready_s"])
    assert gathered["seconds"] > gathered["bytes"] / REMOTE_PER_S
    assert row["first_token_s"] < gathered["at_s"] < row["finished_s"]
    ends = [one["at_s"] for one in of_kind(record, "instance_stopped") if one["gpu"] in (0, 3)]
    assert len(ends) == 2
    assert all(0.0 < end_s - gathered["at_s"] < 0.1 for end_s in ends), "at the end of the step under way"


def test_a_helper_holds_its_part_of_what_is_loaded_and_of_kv_and_pays_for_it() -> None:
    simulated = simulation([(0.0, 0, 100, 400)], (1, 3))
    record = simulated.run()
    (row,) = record.requests.to_pylist()
    function, estimates = simulated.functions[0], simulated.estimates
    part_bytes = estimates.part_bytes(function, 2)
    kv_bytes = held(record, 1, row["first_token_s"]) - estimates.start_bytes(function, {}, simulated.cluster.gpus[1])
    assert kv_bytes > 400 * SEVEN.kv_bytes_per_token
    assert held(record, 3, row["first_token_s"]) == part_bytes + -(-kv_bytes // 2)
    assert held(record, 3, row["finished_s"] - 0.001) == 0
    states = {r["state"] for r in record.usage.to_pylist() if r["gpu"] == 3}
    assert states == {"starting", "busy"}


def test_its_steps_take_a_hop_for_each_further_part_until_it_serves_alone() -> None:
    assert HOPS is not None
    record = simulation([(0.0, 0, 100, 400)], (0, 1, 2)).run()
    (row,) = record.requests.to_pylist()
    hops_s = 2 * HOPS.hop_s
    assert row["first_token_s"] - row["started_s"] == pytest.approx(STEPS.prefill_s([100], [16]) + hops_s)
    alone_s = min(one["at_s"] for one in of_kind(record, "instance_stopped") if one["gpu"] == 1)
    steps_s = [STEPS.decode_step_s([100 + k], [16]) for k in range(1, 400)]
    at_s, piped = row["first_token_s"], 0
    while at_s < alone_s - 1e-6:
        at_s += steps_s[piped] + hops_s
        piped += 1
    assert at_s == pytest.approx(alone_s), "at a step boundary"
    assert 0 < piped < 399
    assert row["finished_s"] == pytest.approx(at_s + sum(steps_s[piped:]))


def test_what_runs_beside_one_part_slows_that_part_down() -> None:
    """Time-sliced with another on one of two GPUs, half of every step takes twice as long, and the other's steps too.

    The other function is called first, so that it is up when the pipeline is.
    """
    cluster = FOUR.model_copy(update={"contention": "time-slice"})
    rows = [(0.0, 0, 100, 2000), (30.0, 1, 100, 20)]
    times = []
    for gpus in ((0, 1), (0, 2)):
        simulated = simulation(rows, (1,), cluster)
        ask = simulated.policies["placement"].place

        def place(function: Any, places: Any, view: Any, gpus: Any = gpus, ask: Any = ask) -> Placement:
            if function.index == 0:
                return ask(function, places, view)
            return Placement(view.gpus[gpus[0]], pipeline=[view.gpus[gpus[1]]])

        simulated.policies["placement"].place = place
        row = simulated.run().requests.to_pylist()[1]
        times.append(row["finished_s"] - row["first_token_s"])
    assert times[0] == pytest.approx(1.5 * times[1], rel=1e-6)


def test_with_a_helper_the_instance_is_lost_and_starts_over_elsewhere() -> None:
    lost = [Failure(what="gpu", gpu=1, at_s=7.5)]
    record = simulation([(0.0, 0, 100, 60)], (0, 1), failures=lost).run()
    (row,) = record.requests.to_pylist()
    assert row["outcome"] == "finished"
    (failed,) = of_kind(record, "instance_failed")
    assert failed["gpu"] == 0
    assert "ran a part of it" in failed["why"]
    assert {one["at_s"] for one in of_kind(record, "instance_stopped")} >= {7.5}


def test_where_a_helper_lacks_room_nothing_starts() -> None:
    simulated = simulation([(0.0, 0, 100, 2)], (0, 1))
    full = simulated.cluster.gpus[1].memory
    full.take(full.free_bytes - SEVEN.weights_bytes // 2)
    with pytest.raises(StalledError):
        simulated.run()
    assert simulated.cluster.gpus[0].memory.used_bytes == 0
    assert not simulated.cluster.containers


def test_an_instance_that_ends_before_it_has_all_takes_its_helpers_along() -> None:
    simulated = simulation([(0.0, 0, 100, 2)], (0, 1, 2, 3), keepalive="none")
    record = simulated.run()
    assert of_kind(record, "pipeline_gathered") == []
    assert len(of_kind(record, "instance_stopped")) == 4
    assert all(gpu.memory.used_bytes == 0 for gpu in simulated.cluster.gpus)
    assert all(node.memory.used_bytes == node.cache.memory.used_bytes == 0 for node in simulated.cluster.nodes)


def test_the_checkpoint_is_then_on_its_node_and_parts_elsewhere_are_not_the_whole() -> None:
    simulated = simulation([(0.0, 0, 100, 400)], (0, 1))
    simulated.run()
    assert [node.stores(SEVEN.name) for node in simulated.cluster.nodes] == [True, False, False, False]
    assert [node.caches(SEVEN.name) for node in simulated.cluster.nodes] == [True, False, False, False]


def test_its_story_and_its_timeline_tell_of_it(tmp_path: Path) -> None:
    simulation([(0.0, 0, 100, 400)], (2, 0)).run().write(tmp_path)
    cell = Cell("hydraserve", "small", "base", 0, tmp_path)
    told = {one.what: one.why for one in story_of(cell, 0).happened}
    assert told["instance 0 of f0 is to serve in a pipeline"] == "the other parts on GPU 0"
    (rest,) = (what for what in told if "the rest of its model, 6.74 GB from ssd" in what)
    assert told[rest] == "it was in 2 parts"
    slices = [event for event in trace_events(cell) if event["ph"] == "X"]
    assert [event["pid"] - 2 for event in slices if event["name"] == "the rest of its model"] == [2]
    assert sorted(event["pid"] - 2 for event in slices if event["name"] == "busy") == [0, 2]


@pytest.mark.parametrize("gpus", [(0, 0), (0, 1), (0, 2, 3), (0, 4)])
def test_two_parts_on_one_node_or_another_kind_of_gpu_are_refused(gpus: tuple[int, ...]) -> None:
    group = {"nodes": 1, "gpus_per_node": 2}
    alike = {"nodes": 2, "gpus_per_node": 2}
    other = {**group, "node_type": "p5.48xlarge", "profile": "h100-sxm"}
    cluster = ClusterConfig.model_validate({"group": [alike, other], "checkpoints": "remote"})
    with pytest.raises(PolicyError, match=r"Over at .* has a part of what <GPU 0> is to serve run on"):
        simulation([(0.0, 0, 100, 5)], gpus, cluster).run()


@pytest.mark.parametrize("overrides", [{"sharing": "ipc"}, {"engine": "hf-eager"}])
def test_what_can_not_run_in_parts_is_refused(overrides: dict[str, Any]) -> None:
    with pytest.raises(PolicyError, match="which can't be split"):
        simulation([(0.0, 0, 100, 5)], (0, 1), **overrides).run()
