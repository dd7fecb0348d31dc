"""Routing policies: special cases in which they equal one another, their scores by hand, and how evenly they spread."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from simlora.actions import ColdStart, ToInstance
from simlora.cluster.config import ClusterConfig
from simlora.entities import Function, QueuedRequest
from simlora.policies.routing import LeastLoaded, LoraAffinity, PowerOfTwo, Rendezvous, ResidencyAffinity
from simlora.testing import Scenario, Snapshot, World, make_functions, make_workload
from simlora.testing.estimates import TableEstimates
from simlora.testing.views import FrozenInstance, FrozenRunning
from simlora.testing.worlds import CAPACITY_BYTES

F0, F1, F2, F3 = FUNCTIONS = make_functions(*["llama-2-7b"] * 4)


class Engines:
    """Engines that serve all functions, each on a GPU of its own."""

    def __init__(self) -> None:
        self.view = Snapshot(10.0, FUNCTIONS)
        self.node = self.view.add_node()
        self.requests = 0

    def request(self, function: Function) -> QueuedRequest:
        self.requests += 1
        return QueuedRequest(self.requests, function, 5.0, 100, 100)

    def add(
        self,
        running: Sequence[Function] = (),
        waiting: Sequence[Function] = (),
        host: Sequence[Function] = (),
        slots: int = 2,
    ) -> FrozenInstance:
        gpu = self.view.add_gpu(self.node, CAPACITY_BYTES)
        return self.view.add_instance(
            None,
            self.view.add_container(gpu),
            {"container": 0},
            backbone=F0.backbone,
            ready=True,
            running=[FrozenRunning(self.request(function), 100) for function in running],
            queue=self.view.add_queues({function: deque([self.request(function)]) for function in waiting}),
            adapter_slots=slots,
            on_host=host,
        )

    def route(self, policy: Any, function: Function) -> tuple[int, str]:
        if hasattr(policy, "bind"):
            policy.bind(World(self.view, {}, (), TableEstimates()).context())
        answer = policy.route([self.request(function)], function, self.view)
        assert isinstance(answer, ToInstance)
        return answer.instance.id, answer.why


def test_lora_affinity_scores() -> None:
    """Active; a slot left; waiting and no slot left; neither."""
    engines = Engines()
    for functions, score in (((F0, F1), 1.0), ((F1,), 0.8), ((F2, F1), 0.0)):
        alone = Engines()
        alone.add(running=functions)
        assert alone.route(LoraAffinity(), F0) == (0, f"score {score:.1f}")
    engines.add(running=(F1, F2), waiting=(F0,))
    assert engines.route(LoraAffinity(), F0) == (0, "score 0.6")
    engines.add(running=(F1,))
    assert engines.route(LoraAffinity(), F0) == (1, "score 0.8")
    engines.add(running=(F3, F0))
    assert engines.route(LoraAffinity(), F0) == (2, "score 1.0")


def test_the_metric_of_requests_in_flight_takes_what_waits_for_what_is_active() -> None:
    engines = Engines()
    engines.add(running=(F1, F2), waiting=(F0,))
    assert engines.route(LoraAffinity(sees="in-flight"), F0) == (0, "score 1.0")


def test_residency_affinity_scores() -> None:
    engines = Engines()
    steps: list[tuple[dict[str, Any], float]] = [
        ({"running": (F1, F2)}, 0.0),
        ({"running": (F1,)}, 0.6),
        ({"running": (F1, F2), "host": (F0,)}, 0.7),
        ({"running": (F0, F2)}, 1.0),
    ]
    for number, (engine, score) in enumerate(steps):
        engines.add(**engine)
        assert engines.route(ResidencyAffinity(), F0) == (number, f"score {score:.1f}")


def test_of_equal_scores_the_fewest_requests_count() -> None:
    engines = Engines()
    engines.add(running=(F0, F0))
    engines.add(running=(F0,))
    assert engines.route(ResidencyAffinity(), F0)[0] == 1
    assert engines.route(LoraAffinity(), F0)[0] == 1


@pytest.mark.parametrize("policy", [LoraAffinity(), ResidencyAffinity(), Rendezvous(), PowerOfTwo(), LeastLoaded()])
def test_without_an_instance_one_is_started(policy: Any) -> None:
    assert isinstance(policy.route([Engines().request(F0)], F0, Snapshot(0.0, FUNCTIONS)), ColdStart)


def test_rendezvous_with_one_replica_always_names_the_same_instance() -> None:
    engines = Engines()
    for load in range(6):
        engines.add(running=[F1] * load)
    first = {function.id: engines.route(Rendezvous(replicas=1), function)[0] for function in FUNCTIONS}
    for _ in range(3):
        assert {f.id: engines.route(Rendezvous(replicas=1), f)[0] for f in FUNCTIONS} == first
    assert len(dict.fromkeys(first.values())) > 1


def test_an_instance_more_moves_only_the_functions_that_rank_it_first() -> None:
    functions = make_functions(*["llama-2-7b"] * 400)
    policy = Rendezvous(replicas=1)

    def first_of(count: int) -> list[int]:
        return [max(range(count), key=lambda i, f=f: policy._rank(f, i)) for f in functions]  # type: ignore[misc]

    four, five = first_of(4), first_of(5)
    moved = [now for before, now in zip(four, five, strict=True) if now != before]
    assert set(moved) == {4}
    assert 50 < len(moved) < 110
    assert all(70 < count < 130 for count in Counter(four).values())


@pytest.mark.parametrize("policy", [Rendezvous(replicas=6), PowerOfTwo(choices=6)])
def test_with_as_many_as_there_are_it_is_least_loaded(policy: Any) -> None:
    engines = Engines()
    for load in (3, 1, 4, 2, 5, 3):
        engines.add(running=[F1] * load)
    assert engines.route(policy, F0)[0] == engines.route(LeastLoaded(), F0)[0] == 1


def test_power_of_two_draws_evenly_and_again_the_same() -> None:
    engines = Engines()
    for _ in range(5):
        engines.add()
    policy = PowerOfTwo(choices=1)
    policy.bind(World(engines.view, {}, (), TableEstimates()).context())
    requests = [engines.request(F0) for _ in range(2000)]
    drawn = [policy.route([request], F0, engines.view) for request in requests]
    assert drawn == [policy.route([request], F0, engines.view) for request in requests]
    counts = Counter(answer.instance.id for answer in drawn if isinstance(answer, ToInstance))
    assert all(340 < count < 460 for count in counts.values())
    assert len(counts) == 5


ROWS = [(0.05 * n, n % 4, 200, 60) for n in range(120)]


def vllm(routing: Any, gpus: int, seed: int = 0) -> Any:
    cluster = ClusterConfig(nodes=1, gpus_per_node=gpus)
    record = Scenario("vllm", FUNCTIONS, make_workload(ROWS), {"routing": routing}, cluster, seed=seed).run()
    return record.requests.to_pandas().drop(columns=["instance", "why"])


def test_with_one_instance_all_routings_are_one() -> None:
    first = vllm("least-loaded", 1)
    for routing in ("power-of-two", "rendezvous", "lora-affinity", "residency-affinity"):
        assert vllm(routing, 1).equals(first)


def test_two_choices_are_worse_than_all_and_better_than_one() -> None:
    """Mean time from arrival to last token, over five seeds of the draw."""

    def e2e_s(routing: Any) -> float:
        runs = [vllm(routing, 4, seed) for seed in range(5)]
        return float(np.mean([(run["finished_s"] - run["arrived_s"]).mean() for run in runs]))

    one, two = (e2e_s({"policy": "power-of-two", "choices": choices}) for choices in (1, 2))
    assert e2e_s("least-loaded") <= two < one
