"""GPUs and nodes that are lost, for a time or for good, and what was on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from simlora.actions import Placement
from simlora.cluster.config import ClusterConfig
from simlora.cluster.failures import Failure
from simlora.errors import PolicyError
from simlora.latency import load_backbone
from simlora.testing.scenario import Scenario, make_functions, make_workload
from simlora.testing.steps import ConstantSteps

Make = Callable[..., Any]
STEPS = ConstantSteps(0.05, prefill_s=0.2)
READY_S = 9.472333
"""A first start of ServerlessLoRA, as in test_golden, there after a wait of 0.25 s."""
US = 1e-6


def test_a_lost_gpu_is_in_no_view_until_it_is_back(world: Make, column: Make, kinds: Make) -> None:
    away = {"what": "gpu", "gpu": 0, "at_s": 20.0, "for_s": 100.0}
    rows = [(0.0, 0, 100, 10), (30.0, 0, 100, 10), (300.0, 0, 100, 10)]
    simulation = world(away, rows=rows, gpus=2).simulation()
    seen: list[tuple[float, list[int]]] = []
    place = simulation.policies["placement"].place

    def watched(function: Any, places: Any, view: Any) -> Any:
        assert [gpu for node in view.nodes for gpu in node.gpus] == list(view.gpus)
        assert all(other in view.gpus for gpu in view.gpus for other in gpu.neighbours)
        seen.append((view.now_s, [gpu.index for gpu in view.gpus]))
        return place(function, places, view)

    simulation.policies["placement"].place = watched
    record = simulation.run()
    assert [gpus for _, gpus in seen] == [[0, 1], [1], [0, 1]]
    assert column(record, "gpu")[:2] == [0, 1]
    assert kinds(record, "gpu_lost", "gpu_returned") == [("gpu_lost", 20.0), ("gpu_returned", 120.0)]
    held = [(row["to_s"], row["gpu"]) for row in record.usage.to_pylist() if row["from_s"] < 20.0]
    assert max(to_s for to_s, gpu in held if gpu == 0) == pytest.approx(20.0)


def test_a_lost_gpu_takes_along_what_spans_it(column: Make, kinds: Make, exact_engine: str) -> None:
    """On GPUs 0 and 1; then 2 and 3 while 1 is away; then nowhere, but for what needs one GPU, until 1 is back."""
    rows = [(0.0, 0, 100, 400), (60.0, 0, 100, 10), (60.0, 1, 100, 10)]
    losses = [{"gpu": 1, "at_s": 15.0, "for_s": 85.0}, {"gpu": 3, "at_s": 50.0}]
    scenario = Scenario(
        "serverless-lora",
        make_functions(load_backbone("llama-2-13b", 2), "llama-2-7b"),
        make_workload(rows),
        {"engine": exact_engine, "preloading": "none", "keepalive": "forever"},
        ClusterConfig(nodes=1, gpus_per_node=4),
        failures=[Failure.model_validate({"what": "gpu", **loss}) for loss in losses],
    )
    simulation = scenario.simulation()
    record = simulation.run()
    assert column(record, "outcome") == ["finished"] * 3
    assert kinds(record, "instance_failed") == [("instance_failed", 15.0), ("instance_failed", 50.0)]
    assert column(record, "gpu")[:2] == [2, 0]
    started_s, split_s, small_s = column(record, "started_s")
    assert 15.0 < started_s < 50.0 < 60.0 < small_s < 100.0 < split_s
    simulation.cluster.check_bytes()
    assert all(gpu.active_batches == 0 for gpu in simulation.cluster.every_gpu)


def test_a_placement_on_a_lost_gpu_is_refused(world: Make) -> None:
    simulation = world({"what": "gpu", "gpu": 0, "at_s": 1.0}, gpus=2).simulation()
    lost = simulation.cluster.every_gpu[0]
    simulation.policies["placement"].place = lambda function, places, view: Placement(lost)
    with pytest.raises(PolicyError, match="places on <GPU 0>, which is lost"):
        simulation.run()


def test_while_no_gpu_is_there_requests_wait_and_nobody_is_asked(world: Make, column: Make) -> None:
    scenario = world({"what": "gpu", "at_s": 0.0, "for_s": 50.0}, rows=[(1.0, 0, 100, 10)])
    simulation = scenario.simulation()
    asked: list[float] = []
    route = simulation.policies["routing"].route
    simulation.policies["routing"].route = lambda *question: asked.append(question[-1].now_s) or route(*question)
    record = simulation.run()
    assert asked == [50.0]
    assert column(record, "ready_s") == pytest.approx([50.0 + READY_S], abs=US)


def test_what_waits_when_all_is_lost_for_good_fails(world: Make, column: Make) -> None:
    rows = [(0.0, 0, 100, 10), (30.0, 0, 100, 10), (40.0, 1, 100, 10)]
    record = world({"what": "node", "at_s": 20.0}, rows=rows).run()
    assert column(record, "outcome") == ["finished", "failed", "failed"]
    assert {r["why"] for r in record.events.to_pylist() if r["kind"] == "request_failed"} == {
        "nothing that is left can serve it"
    }


def test_a_run_in_which_nothing_finishes_ends_at_its_beginning(world: Make, column: Make) -> None:
    record = world({"what": "node", "at_s": 1.0}, rows=[(0.0, 0, 100, 10)]).run()
    assert column(record, "outcome") == ["failed"]
    assert record.facts["end_s"] == 0.0


@pytest.mark.parametrize(("what", "gpus"), [("gpu", [2]), ("node", [2, 3])])
def test_a_node_is_lost_with_all_its_gpus_and_its_host_memory(what: str, gpus: list[int]) -> None:
    failure = Failure.model_validate({"what": what, what: 2 if what == "gpu" else 1, "at_s": 60.0, "for_s": 5.0})
    cluster = ClusterConfig(nodes=2, gpus_per_node=2)
    workload = make_workload([(0.0, 0, 100, 10), (80.0, 0, 100, 10)])
    scenario = Scenario(
        "serverless-llm", make_functions("llama-2-7b"), workload, {"host_copies": "all"}, cluster, failures=[failure]
    )
    simulation = scenario.simulation()
    record = simulation.run()
    assert [row["gpu"] for row in record.events.to_pylist() if row["kind"] == "gpu_lost"] == gpus
    cached = [node.caches("llama-2-7b") for node in simulation.cluster.every_node]
    assert cached == [True, what == "gpu"]


@pytest.mark.parametrize("loss", [{"what": "worker"}, {"what": "gpu", "gpu": 0, "for_s": 30.0}])
def test_an_engine_that_is_always_on_is_started_again(column: Make, loss: dict[str, Any]) -> None:
    rows = [(0.0, 0, 100, 400), (200.0, 0, 100, 10)]
    scenario = Scenario(
        "vllm",
        make_functions("llama-2-7b"),
        make_workload(rows),
        failures=[Failure.model_validate({"at_s": 5.0, **loss})],
        steps=lambda instance: STEPS,
    )
    record = scenario.run()
    assert column(record, "outcome") == ["finished"] * 2
    again = [row for row in record.events.to_pylist() if row["kind"] == "instance_started" and row["at_s"] > 0]
    assert [row["why"] for row in again] == ["always on"]
    assert again[0]["at_s"] == pytest.approx(5.0 + loss.get("for_s", 0.0))
