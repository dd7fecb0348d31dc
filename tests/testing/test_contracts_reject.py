"""A contract rejects a policy that breaks one of its laws."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from simlora.actions import Dispatch, Placement, Plan, Preempt, Start, Stop, ToInstance, Wait
from simlora.events import CauseKind
from simlora.testing import (
    BatchingContract,
    ForecastContract,
    KeepAliveContract,
    OffloadingContract,
    PlacementContract,
    PolicyContract,
    PreemptionContract,
    PreloadingContract,
    RoutingContract,
    ScalingContract,
    make_world,
)


@dataclass
class Says:
    """A policy of any role that answers with what a function of its arguments returns."""

    answer: Callable[..., Any]
    causes: frozenset[CauseKind] = frozenset({CauseKind.STARTED})
    binding: str = "dispatch"
    tick_s: float = 1.0

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name in ("route", "place", "next_batch", "plan", "victims", "preempt", "keep", "desired", "rate_per_s"):
            return self.answer
        if name == "observe_arrival":
            return lambda function, at_s: None
        raise AttributeError(name)


def contract(base: type[PolicyContract], answer: Callable[..., Any]) -> PolicyContract:
    return type("Broken", (base,), {"make_policy": lambda self: Says(answer)})()  # type: ignore[no-any-return]


class HashingContract(ScalingContract):
    """Found by name in the other process."""

    def make_policy(self) -> Says:
        return Says(lambda function, view: hash(function.id) % 1000)


def any_instance(view: Any) -> Any:
    return next(iter(view.instances.values()), None)


def first_idle_container(function: Any, places: Any, view: Any) -> Placement:
    return Placement(view.gpus[0], next(iter(view.idle_containers.values()), None))


def drains_the_queue(at: Any, ready: Any, view: Any) -> Wait:
    for queue in ready.by_function.values():
        if len(queue) > 1:
            queue.pop()
    return Wait(view.now_s + 1)


def stops_twice(causes: Any, view: Any) -> Plan:
    idle = [i for c in view.idle_containers.values() for i in c.instances.values()]
    return Plan([Stop(i) for i in idle] * 2)


def starts_too_much(causes: Any, view: Any) -> Plan:
    gpu = view.gpus[0]
    return Plan([Start(f, f.backbone, Placement(gpu), "kernels") for f in view.functions])


BROKEN: dict[str, tuple[type[PolicyContract], Callable[..., Any]]] = {
    "a route to an instance of others": (RoutingContract, lambda w, f, view: ToInstance(any_instance(view))),
    "a place without room": (PlacementContract, lambda f, places, view: Placement(view.gpus[0])),
    "no time to look again": (BatchingContract, lambda at, ready, view: Wait()),
    "a wait into the past": (BatchingContract, lambda at, ready, view: Wait(view.now_s)),
    "several functions": (BatchingContract, lambda at, ready, view: Dispatch(list(ready.in_order()))),
    "starts beyond memory": (PreloadingContract, starts_too_much),
    "stopped twice": (PreloadingContract, stops_twice),
    "a look in the past": (PreloadingContract, lambda causes, view: Plan(wake_at_s=view.now_s)),
    "a victim that must stay": (OffloadingContract, lambda d, view: [Stop(i) for i in d.gpu.instances.values()]),
    "nobody leaves": (PreemptionContract, lambda at, view: Preempt([])),
    "an end in the past": (KeepAliveContract, lambda i, view: [("library", view.now_s - 1)]),
    "a stage twice": (KeepAliveContract, lambda i, view: [("library", view.now_s)] * 2),
    "fewer than none": (ScalingContract, lambda f, view: -1),
    "an endless rate": (ForecastContract, lambda f, now_s: float("inf")),
}


def run(law: str, base: type[PolicyContract], answer: Callable[..., Any]) -> None:
    """A law in worlds of fixed seeds, without the search for the smallest world that breaks it."""
    for seed in range(40):
        getattr(contract(base, answer), law)(make_world(random.Random(seed)))


@pytest.mark.parametrize("name", BROKEN)
def test_an_inadmissible_answer_is_rejected(name: str) -> None:
    with pytest.raises(AssertionError):
        run("answers_are_admissible", *BROKEN[name])


def test_an_answer_by_chance_is_rejected() -> None:
    with pytest.raises(AssertionError):
        run("equal_pasts_give_equal_answers", ScalingContract, lambda f, view: random.randrange(1000))


def test_an_answer_by_the_order_of_a_mapping_is_rejected() -> None:
    with pytest.raises(AssertionError):
        run("order_of_dictionaries_does_not_matter", PlacementContract, first_idle_container)


def test_a_queue_that_was_changed_is_noticed() -> None:
    with pytest.raises(AssertionError):
        run("asking_changes_nothing", BatchingContract, drains_the_queue)


def test_an_answer_by_hash_differs_in_another_process() -> None:
    with pytest.raises(AssertionError):
        HashingContract().test_another_process_gives_the_same_answers()


def test_a_suite_s_own_test_finds_the_world_that_breaks_a_law() -> None:
    broken = contract(ScalingContract, lambda f, view: -1)
    with pytest.raises(AssertionError, match="wants -1 instances"):
        broken.test_answers_are_admissible()
