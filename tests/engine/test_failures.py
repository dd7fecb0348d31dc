"""What fails and what comes of it: to processes, to what they shared, to GPUs, and to the requests they had."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from simlora.actions import Dispatch, Placement
from simlora.cluster.config import ClusterConfig
from simlora.cluster.failures import Failure
from simlora.engine import RunRecord
from simlora.errors import PolicyError
from simlora.latency import load_backbone
from simlora.testing.scenario import ROW, Scenario, make_functions, make_workload
from simlora.testing.steps import ConstantSteps

STEPS = ConstantSteps(0.05, prefill_s=0.2)
READY_S, LOADED_S = 9.472333, 8.323774
"""A first start of ServerlessLoRA and its backbone's load, as in test_golden, there after a wait of 0.25 s."""
US = 1e-6


def world(
    exact_engine: str, *failures: dict[str, Any], rows: list[ROW] | None = None, gpus: int = 1, **keys: Any
) -> Scenario:
    """ServerlessLoRA serving two functions of one backbone, one request at 0 s unless ``rows`` say otherwise."""
    return Scenario(
        "serverless-lora",
        make_functions("llama-2-7b", "llama-2-7b"),
        make_workload(rows or [(0.0, 0, 100, 10)], 10),
        {"engine": exact_engine, "batching": {"policy": "fixed", "size": 1, "delay_s": 0.0}, **keys},
        ClusterConfig(nodes=1, gpus_per_node=gpus),
        steps=lambda instance: STEPS,
        failures=[Failure.model_validate(one) for one in failures],
    )


def kinds(record: RunRecord, *wanted: str) -> list[tuple[str, float]]:
    rows = record.events.to_pylist()
    return [(row["kind"], pytest.approx(row["at_s"], abs=US)) for row in rows if row["kind"] in wanted]


def column(record: RunRecord, name: str) -> list[Any]:
    values: list[Any] = record.requests[name].to_pylist()
    return values


# ---------------------------------------------------------------------------------------------- workers


def test_a_crash_while_starting_starts_anew(exact_engine: str) -> None:
    record = world(exact_engine, {"what": "worker", "at_s": 3.0, "during": "start"}).run()
    assert column(record, "outcome") == ["finished"]
    # The backbone process goes on loading what the first start had asked for: only that function's own stages again.
    (ready_s,) = column(record, "ready_s")
    assert 3.0 + 4.0 < ready_s < 3.0 + READY_S
    assert column(record, "bound_s") == [3.0]
    assert kinds(record, "instance_failed", "request_retried", "instance_stopped")[:3] == [
        ("instance_failed", 3.0),
        ("instance_stopped", 3.0),
        ("request_retried", 3.0),
    ]
    (why,) = {row["why"] for row in record.events.to_pylist() if row["kind"] == "instance_failed"}
    assert why == "its process crashed"


def test_a_crash_in_mid_batch_loses_its_tokens_and_the_request_starts_over(exact_engine: str) -> None:
    crash_s = READY_S + 0.4
    quiet = world(exact_engine).run()
    record = world(exact_engine, {"what": "worker", "at_s": crash_s, "during": "batch"}).run()
    assert quiet.requests["first_token_s"][0].as_py() < crash_s < quiet.requests["finished_s"][0].as_py()
    assert column(record, "outcome") == ["finished"]
    assert column(record, "bound_s") == pytest.approx([crash_s], abs=US)
    assert column(record, "first_token_s")[0] > crash_s
    assert column(record, "finished_s")[0] == pytest.approx(column(record, "first_token_s")[0] + 9 * 0.05, abs=US)
    assert column(record, "instance") == [1]


def test_tokens_from_before_a_preemption_are_lost_too() -> None:
    scenario = Scenario(
        "vllm",
        make_functions("llama-2-7b"),
        make_workload([(1.0, 0, 100, 100), (2.0, 0, 100, 10)]),
        {},
        steps=lambda instance: STEPS,
        failures=[Failure(what="worker", at_s=2.3)],
    )
    simulation = scenario.simulation()
    policy = simulation.policies["batching"]
    admit = policy.next_batch

    def newest_first(at: Any, ready: Any, view: Any) -> Any:
        if at is None or view.now_s > 2.3 or not (at.running and at.bound):
            return admit(at, ready, view)
        return Dispatch(list(ready.in_order()), preempt=[r.request for r in at.running.values()])

    policy.next_batch = newest_first
    first = simulation.run().requests.to_pylist()[0]
    assert first["preemptions"] == 1
    assert first["finished_s"] - first["first_token_s"] >= 0.05 * 99 - US


def test_a_crash_meets_only_what_is_at_work_and_of_its_function(exact_engine: str) -> None:
    idle = {"what": "worker", "at_s": READY_S + 5.0}
    other = {"what": "worker", "at_s": 3.0, "function": "f1"}
    wrong = {"what": "worker", "at_s": 3.0, "during": "batch"}
    record = world(exact_engine, idle, other, wrong).run()
    assert kinds(record, "instance_failed") == []
    assert record.requests.equals(world(exact_engine).run().requests)


@pytest.mark.parametrize(
    ("on_failure", "retries", "outcome", "attempts"),
    [("retry", 0, "failed", 1), ("retry", 2, "failed", 3), ("reject", 3, "rejected", 1), ("fail", 3, "failed", 1)],
)
def test_the_system_says_what_becomes_of_the_requests(
    exact_engine: str, on_failure: str, retries: int, outcome: str, attempts: int
) -> None:
    """Every attempt crashes two seconds after it began."""
    crashes = [{"what": "worker", "at_s": 2.0 * n} for n in range(1, 9)]
    keys = {"on_failure": on_failure, "limits.retries": retries}
    record = world(exact_engine, *crashes, **keys).run()
    assert column(record, "outcome") == [outcome]
    assert len(kinds(record, "instance_failed")) == attempts
    assert len(kinds(record, "request_retried")) == attempts - 1
    assert all(value != value for value in (*column(record, "started_s"), *column(record, "finished_s")))
    assert column(record, "instance") == [-1]


def test_a_failed_start_that_others_wait_for_counts_for_them_too(exact_engine: str) -> None:
    """ServerlessLLM's router holds requests until an instance is ready: nothing is ever bound to those that crash."""
    often = world(exact_engine, {"what": "worker", "rate_per_hour": 3_600.0})
    record = replace(often, system="serverless-llm", overrides={"limits.retries": 2}).run()
    assert column(record, "outcome") == ["failed"]
    assert len(kinds(record, "request_retried")) == 2


# ---------------------------------------------------------------------------------------------- backbones


def test_a_backbone_process_that_dies_takes_all_that_map_it_along(exact_engine: str) -> None:
    rows = [(0.0, 0, 100, 10), (0.0, 1, 100, 10), (30.0, 0, 100, 10), (30.0, 1, 100, 10)]
    record = world(exact_engine, {"what": "backbone", "at_s": 20.0}, rows=rows).run()
    assert kinds(record, "backbone_failed") == [("backbone_failed", 20.0)]
    assert len(kinds(record, "instance_failed")) == 2
    assert column(record, "cold") == [True] * 4
    assert len(kinds(record, "backbone_loaded")) == 2
    quiet = world(exact_engine, rows=rows).run()
    assert column(quiet, "cold") == [True, True, False, False]


def test_a_backbone_that_dies_while_it_loads_is_loaded_again(exact_engine: str) -> None:
    record = world(exact_engine, {"what": "backbone", "at_s": 6.0}, rows=[(0.0, 0, 100, 10), (0.0, 1, 100, 10)]).run()
    assert column(record, "outcome") == ["finished"] * 2
    (loaded,) = kinds(record, "backbone_loaded")
    assert loaded == ("backbone_loaded", 6.0 + LOADED_S)


# ---------------------------------------------------------------------------------------------- GPUs and nodes


def test_a_lost_gpu_is_in_no_view_until_it_is_back(exact_engine: str) -> None:
    away = {"what": "gpu", "gpu": 0, "at_s": 20.0, "for_s": 100.0}
    rows = [(0.0, 0, 100, 10), (30.0, 0, 100, 10), (300.0, 0, 100, 10)]
    simulation = world(exact_engine, away, rows=rows, gpus=2).simulation()
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


def test_a_lost_gpu_takes_along_what_spans_it(exact_engine: str) -> None:
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


def test_a_placement_on_a_lost_gpu_is_refused(exact_engine: str) -> None:
    simulation = world(exact_engine, {"what": "gpu", "gpu": 0, "at_s": 1.0}, gpus=2).simulation()
    lost = simulation.cluster.every_gpu[0]
    simulation.policies["placement"].place = lambda function, places, view: Placement(lost)
    with pytest.raises(PolicyError, match="places on <GPU 0>, which is lost"):
        simulation.run()


def test_while_no_gpu_is_there_requests_wait_and_nobody_is_asked(exact_engine: str) -> None:
    scenario = world(exact_engine, {"what": "gpu", "at_s": 0.0, "for_s": 50.0}, rows=[(1.0, 0, 100, 10)])
    simulation = scenario.simulation()
    asked: list[float] = []
    route = simulation.policies["routing"].route
    simulation.policies["routing"].route = lambda *question: asked.append(question[-1].now_s) or route(*question)
    record = simulation.run()
    assert asked == [50.0]
    assert column(record, "ready_s") == pytest.approx([50.0 + READY_S], abs=US)


def test_what_waits_when_all_is_lost_for_good_fails(exact_engine: str) -> None:
    rows = [(0.0, 0, 100, 10), (30.0, 0, 100, 10), (40.0, 1, 100, 10)]
    record = world(exact_engine, {"what": "node", "at_s": 20.0}, rows=rows).run()
    assert column(record, "outcome") == ["finished", "failed", "failed"]
    assert {r["why"] for r in record.events.to_pylist() if r["kind"] == "request_failed"} == {
        "nothing that is left can serve it"
    }


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
def test_an_engine_that_is_always_on_is_started_again(loss: dict[str, Any]) -> None:
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


# ---------------------------------------------------------------------------------------------- stores and files


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
def test_a_start_fails_on_a_corrupt_adapter(exact_engine: str, failure: dict[str, Any], loads: int) -> None:
    """Its first load ends 8.722 s after the arrival; with two retries it is tried thrice at most."""
    corrupt = {"what": "adapter", "function": "f0", "at_s": 0.0, **failure}
    rows = [(0.0, 0, 100, 10), (0.0, 1, 100, 10)]
    record = world(exact_engine, corrupt, rows=rows, **{"limits.retries": 2}).run()
    assert column(record, "outcome") == ["finished" if failure else "failed", "finished"]
    assert len(kinds(record, "instance_failed")) == loads - bool(failure)
    assert {r["why"] for r in record.events.to_pylist() if r["kind"] == "instance_failed"} == {
        "the adapter of f0 is corrupt"
    }


@pytest.mark.parametrize("loading", ["blocking", "overlapped", "cpu-assisted"])
@pytest.mark.parametrize("memory", ["slots", "paged"])
def test_an_engine_goes_on_without_a_corrupt_adapter(loading: str, memory: str) -> None:
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
