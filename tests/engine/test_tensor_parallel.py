"""Instances on several GPUs: what they hold, load and take on each, beside others or alone."""

from __future__ import annotations

from typing import Any

import pytest

from simlora.actions import Placement
from simlora.cluster.config import ClusterConfig
from simlora.engine import RunRecord, Simulation
from simlora.errors import PolicyError
from simlora.latency import load_backbone, load_node_type, load_profile
from simlora.policies.placement import MostFree
from simlora.systems import list_systems
from simlora.testing import Scenario, make_functions, make_workload

FOUR = ClusterConfig(nodes=1, gpus_per_node=4)
ON_TWO, ON_FOUR = load_backbone("llama-2-13b", 2), load_backbone("llama-2-70b", 4)
STEPS = load_profile("l40s", "hf-eager")


def scenario(backbones: list[Any], rows: list[Any], system: str = "plain-serverless", **overrides: Any) -> Scenario:
    return Scenario(system, make_functions(*backbones), make_workload(rows), overrides, FOUR)


def stages(record: RunRecord) -> dict[str, float]:
    return {row["stage"]: row["seconds"] for row in record.events.to_pylist() if row["kind"] == "stage_finished"}


def test_a_model_that_fits_no_gpu_runs_on_four() -> None:
    simulation = scenario([ON_FOUR], [(0.0, 0, 200, 20)], keepalive="forever").simulation()
    record = simulation.run()
    (row,) = record.requests.to_pylist()
    assert row["outcome"] == "finished"
    function = simulation.functions[0]
    (instance,) = simulation.cluster.instances_of(function).values()
    assert [gpu.index for gpu in instance.gpus] == [0, 1, 2, 3]
    assert instance.gpu is instance.gpus[0]
    held = {gpu.capacity_bytes - gpu.free_bytes for gpu in instance.gpus}
    assert held == {instance.device_bytes}
    assert instance.done["backbone"] == ON_FOUR.shard.weights_bytes
    model = STEPS.model(ON_FOUR, function.target_modules)
    steps = [model.decode_step_s([200 + k], [16]) for k in range(1, 20)]
    assert row["first_token_s"] - row["started_s"] == pytest.approx(model.prefill_s([200], [16]))
    assert row["finished_s"] - row["first_token_s"] == pytest.approx(sum(steps))


@pytest.mark.parametrize("loader", ["sllm", "safetensors"])
@pytest.mark.parametrize("storage", ["fair", "fifo"])
def test_its_parts_come_from_one_storage(loader: str, storage: str) -> None:
    record = scenario([ON_TWO], [(0.0, 0, 100, 5)], loader=loader, storage=storage).run()
    expected = STEPS.load_s(ON_TWO.weights_bytes, ("ssd", "device"), loader, load_node_type("g6e.24xlarge"), 2)
    slack = 1.03 if storage == "fair" else 2.1  # queueing readers leave a fast storage idle
    assert expected * 0.999 <= stages(record)["backbone"] <= expected * slack


def test_functions_share_it_where_backbones_are_shared() -> None:
    rows = [(0.0, 0, 100, 5), (20.0, 1, 100, 5)]
    simulation = scenario([ON_TWO, ON_TWO], rows, "serverless-lora", keepalive="forever").simulation()
    record = simulation.run()
    assert record.requests["outcome"].to_pylist() == ["finished"] * 2
    first, second = simulation.cluster.gpus[:2]
    assert first.backbones[ON_TWO] is second.backbones[ON_TWO]
    assert first.backbones[ON_TWO].bytes > ON_TWO.shard.weights_bytes
    assert len(first.backbones[ON_TWO].mappers) == 2
    loads = [row for row in record.events.to_pylist() if row["kind"] == "backbone_loaded"]
    assert len(loads) == 1


def finishing_s(backbones: list[Any], rows: list[Any], contention: str) -> list[float]:
    cluster = ClusterConfig(nodes=1, gpus_per_node=2, contention=contention)
    overrides = {"preloading": "everything", "keepalive": "forever", "placement": "backbone-affinity"}
    record = Scenario("serverless-lora", make_functions(*backbones), make_workload(rows), overrides, cluster).run()
    columns = record.requests.to_pydict()
    return [end - begin for begin, end in zip(columns["started_s"], columns["finished_s"], strict=True)]


def test_it_goes_at_the_pace_of_its_slowest_gpu_and_slows_down_what_runs_there() -> None:
    """Time-sliced with one process on one of its two GPUs, both take twice as long while both run."""
    alone, small_alone = (
        finishing_s([kind], [(60.0, 0, 100, 200)], "time-slice")[0] for kind in (ON_TWO, load_backbone("llama-2-7b"))
    )
    rows = [(60.0, 0, 100, 200), (60.0, 1, 100, 200)]
    both, small_both = finishing_s([ON_TWO, "llama-2-7b"], rows, "time-slice")
    shorter, longer = sorted(((alone, both), (small_alone, small_both)))
    assert shorter[1] == pytest.approx(2 * shorter[0], rel=0.01)
    assert longer[1] == pytest.approx(longer[0] + shorter[0], rel=0.01)


@pytest.mark.parametrize("system", list_systems())
def test_every_system_serves_it_beside_others(system: str) -> None:
    backbones = [load_backbone("llama-2-7b"), load_backbone("llama-3.1-8b", 2), load_backbone("llama-2-7b")]
    rows = [(0.7 * i**1.6, i % 3, 300, 40) for i in range(30)]
    world = scenario(backbones, rows, system)
    record, stepwise = world.run(), world.run(stepwise=True)
    assert record.requests["outcome"].to_pylist() == ["finished"] * 30
    assert stepwise.requests.equals(record.requests)
    assert stepwise.usage.equals(record.usage)
    used = record.usage.to_pandas().query("holder == 'instance' and device_bytes > 0")
    assert used.groupby("id").gpu.nunique().max() == 2


class Wrong(MostFree):
    """Places on the wrong GPUs."""

    gpus: tuple[int, ...] = ()

    def place(self, function: Any, places: Any, view: Any) -> Placement:
        first, *others = (view.gpus[index] for index in self.gpus)
        return Placement(first, None, others)


@pytest.mark.parametrize("gpus", [(0,), (1, 2), (0, 1, 2), (1, 0), (0, 0), (0, 1, 2, 3)])
def test_a_place_of_another_shape_is_refused(gpus: tuple[int, ...]) -> None:
    simulation: Simulation = scenario([ON_TWO], [(0.0, 0, 100, 5)]).simulation()
    simulation.policies["placement"] = wrong = Wrong()
    wrong.gpus = gpus
    with pytest.raises(PolicyError, match=r"Wrong at 0.000000 s: places"):
        simulation.run()


def test_where_no_node_has_as_many_gpus_its_requests_are_turned_away() -> None:
    world = scenario([load_backbone("llama-2-70b", 8), load_backbone("llama-2-7b")], [(0.0, 0, 9, 9), (1.0, 1, 9, 9)])
    assert world.run().requests["outcome"].to_pylist() == ["rejected", "finished"]
