"""Law 4: binding work takes everything between an instance and its first token, or nothing at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from simlora.actions import Placement
from simlora.cluster.cluster import Cluster
from simlora.cluster.processes import Instance
from simlora.engine.starting import Starter
from simlora.entities import PROJECTIONS, Function, QueuedRequest
from simlora.latency import load_backbone
from simlora.testing.scenario import Scenario, make_functions, make_workload
from simlora.testing.strategies import scenarios, troubled

pytestmark = pytest.mark.usefixtures("no_hang")
LAW = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def holdings(cluster: Cluster) -> tuple[int, int, int]:
    """Device bytes in use, requests bound, instances: what a start may only add to, and evictions only lessen."""
    instances = [i for gpu in cluster.gpus for i in gpu.instances.values()]
    return sum(gpu.memory.used_bytes for gpu in cluster.gpus), sum(i.bound for i in instances), len(instances)


def assert_complete(starter: Starter, instance: Instance, work: Sequence[QueuedRequest], was_idle: bool) -> None:
    stages = starter._engine.estimates.stages
    assert instance.ready or {*instance.done, *instance.reserved} == {*stages}
    mapped = [s for s in starter._engine.estimates.shared_stages if s in instance.done or s in instance.reserved]
    assert not mapped or instance.id in instance.gpu.backbones[instance.backbone].mappers
    if was_idle and instance.kv is instance.memory:
        assert work[0].index in instance.held
    assert all(request in instance.queue.by_function[request.function] for request in work)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> dict[bool, int]:
    """Every binding and every cold start is checked; counts of those that took all and of those that took nothing."""
    seen = {True: 0, False: 0}
    bind, cold_start = Starter.bind, Starter.cold_start

    def all_or_nothing(start: Callable[..., bool], starter: Starter, *args: Any) -> bool:
        before = holdings(starter._cluster)
        done = start(starter, *args)
        after = holdings(starter._cluster)
        seen[done] += 1
        if not done:
            assert after[1] == before[1]
            assert after[0] <= before[0]
            assert after[2] <= before[2]
            starter._cluster.check_bytes()
        return done

    def watched_bind(starter: Starter, work: Sequence[QueuedRequest], instance: Instance) -> bool:
        was_idle = instance.state == "idle"
        done = all_or_nothing(bind, starter, work, instance)
        if done:
            assert_complete(starter, instance, work, was_idle)
        return done

    def watched_cold_start(starter: Starter, *args: Any) -> bool:
        return all_or_nothing(cold_start, starter, *args)

    monkeypatch.setattr(Starter, "bind", watched_bind)
    monkeypatch.setattr(Starter, "cold_start", watched_cold_start)
    return seen


@LAW
@given(scenario=scenarios() | troubled())
def test_a_start_takes_all_or_nothing(scenario: Scenario, watched: dict[bool, int]) -> None:
    scenario.run()


@pytest.mark.parametrize("sharing", ["none", "ipc"])
def test_starts_that_find_no_room_leave_no_trace(watched: dict[bool, int], sharing: str) -> None:
    """Eight functions of four backbones' worth of memory, all at once on one GPU with room for two."""
    names = ["llama-2-13b", "llama-2-7b", "llama-3.1-8b"] * 3
    rows = [(0.001 * i, i % 9, 400, 200) for i in range(40)]
    world = Scenario("serverless-lora", make_functions(*names), make_workload(rows), {"sharing": sharing})
    outcomes = world.run().requests["outcome"].to_pylist()
    assert outcomes == ["finished"] * 40
    assert watched[False] > 5
    assert watched[True] > 5


def test_two_batches_that_want_the_last_bytes_do_not_block_each_other() -> None:
    """Both could begin alone, not together: one runs, then the other, whichever came first."""
    rows = [(0.0, 0, 5000, 8000), (0.0, 1, 5000, 8000), (0.0, 2, 5000, 8000)]
    functions = make_functions(*["llama-2-13b"] * 3)
    record = Scenario("serverless-lora", functions, make_workload(rows)).run()
    columns = record.requests.to_pydict()
    assert columns["outcome"] == ["finished"] * 3
    spans = sorted(zip(columns["started_s"], columns["finished_s"], strict=True))
    assert all(end_s <= begin_s for (_, end_s), (begin_s, _) in pairwise(spans))


def test_no_process_begins_in_a_container_that_has_just_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for the second model is made by ending the first, and with it the very container the second was to have."""
    add_instance, homeless = Cluster.add_instance, list[str]()

    def watched(cluster: Cluster, function: Any, backbone: Any, container: Any, pipeline: Any) -> Instance:
        if container.id not in cluster.containers:
            homeless.append(repr(container))
        return add_instance(cluster, function, backbone, container, pipeline)

    monkeypatch.setattr(Cluster, "add_instance", watched)
    functions = make_functions("llama-2-13b", "llama-2-13b")
    rows = [(0.0, 1, 61, 1), (30.0, 0, 1054, 7)]
    record = Scenario("insta-infer", functions, make_workload(rows), {"containers": "dedicated"}).run()
    assert record.requests["outcome"].to_pylist() == ["finished"] * 2
    assert homeless == []


def test_an_adapter_that_went_to_the_container_leaves_no_room_there_for_libraries() -> None:
    """f1 would start in f0's idle container; making room on the GPU moves f0's large adapter to that container."""
    backbones = load_backbone("llama-2-7b"), load_backbone("llama-2-13b")
    functions = [
        Function(0, "f0", backbones[0], 128, PROJECTIONS, slo_ttft_s=2.5),
        Function(1, "f1", backbones[1], 16, ("q_proj", "v_proj"), slo_ttft_s=4.0),
    ]
    workload = make_workload([(0.0, 0, 100, 5), (30.0, 1, 100, 5)], max_new_tokens=9000)
    overrides = {
        "sharing": "none",
        "preloading": "none",
        "placement": "idle-container-first",
        "limits.container_bytes": 1_400_000_000,
    }
    record = Scenario("serverless-lora", functions, workload, overrides).run()
    assert record.requests["outcome"].to_pylist() == ["finished", "finished"]


def test_nothing_ends_for_a_start_that_could_not_come_about() -> None:
    """f2 is placed where f0 runs and f1 waits, whose end would not make room; a slot is to be made there, too."""
    functions = make_functions("llama-2-13b", "llama-2-7b", "llama-2-13b")
    rows = [(0.0, 0, 100, 2000), (0.0, 1, 100, 5), (30.0, 2, 100, 5)]
    overrides = {"limits.instances_per_gpu": 2, "preloading": "none", "keepalive": "forever"}
    scenario = Scenario("insta-infer", functions, make_workload(rows), overrides)
    simulation = scenario.simulation()

    def anyway(function: Any, places: Sequence[Any], view: Any) -> Placement:
        idle = list(view.idle_containers.values())
        return Placement.at(idle[0], idle[0]) if idle else Placement.at(places[0])

    simulation.policies["placement"].place = anyway
    record = simulation.run()
    first, second, third = record.requests.to_pylist()
    assert second["finished_s"] < 30.0 < first["finished_s"] < third["started_s"]
    ended = [event for event in record.events.to_pylist() if event["kind"] == "instance_stopped"]
    assert [event["at_s"] for event in ended if event["function"] == "f1"] == [first["finished_s"]]
