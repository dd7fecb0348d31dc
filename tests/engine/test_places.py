"""Cost follows change (law 9): who found no place or memory is looked at again once a change concerns the answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from pandas.testing import assert_frame_equal

from simlora.cluster.config import ClusterConfig
from simlora.cluster.hardware import Gpu
from simlora.engine.frontend import FrontEnd
from simlora.engine.reserving import Reservations
from simlora.engine.starting import Starter
from simlora.entities import Function
from simlora.policies.placement.by_room import Placing
from simlora.policies.preloading.containers import IdleContainers
from simlora.policies.preloading.room import Room
from simlora.testing.scenario import Scenario, make_functions, make_workload
from simlora.testing.steps import ConstantSteps
from simlora.testing.strategies import scenarios

LAW = settings(max_examples=100, deadline=None, derandomize=True)
TRAFFIC = [(0.0, 0, 100, 400), *((20.0 + i, 1, 100, 2) for i in range(10)), (15.0, 2, 100, 2)]
"""A model of 26 GB keeps the only GPU busy, one of 13 GB runs ten times beside it; another of 26 GB waits."""


@pytest.mark.usefixtures("no_hang")
@LAW
@given(scenario=scenarios())
def test_asking_about_everybody_at_every_change_gives_the_same_run(scenario: Scenario) -> None:
    record = scenario.run()
    freed = FrontEnd.memory_freed

    def freed_everywhere(self: FrontEnd, gpus: Sequence[Gpu]) -> None:
        for gpu in self._cluster.gpus:
            freed(self, [gpu])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Placing, "could_use", lambda self, function, gpu: True)
        patch.setattr(Reservations, "could_fit", lambda self, instance, request, evictable_bytes: True)
        patch.setattr(FrontEnd, "memory_freed", freed_everywhere)
        always = scenario.run()
    for name in ("requests", "usage", "events"):
        assert_frame_equal(getattr(record, name).to_pandas(), getattr(always, name).to_pandas(), check_exact=True)


def asked_about_the_third(silent: bool) -> list[bool]:
    """Whether there was a place, each time the policy was asked."""
    functions = make_functions("llama-2-13b", "llama-2-7b", "llama-2-13b")
    steps = ConstantSteps(0.1)
    scenario = Scenario(
        "insta-infer", functions, make_workload(TRAFFIC), {"preloading": "none"}, steps=lambda instance: steps
    )
    simulation = scenario.simulation()
    placement, answers = simulation.policies["placement"], list[bool]()

    class Asked:
        bind = staticmethod(placement.bind)

        def place(self, function: Function, places: Any, view: Any) -> Any:
            found = placement.place(function, places, view)
            if function is functions[2]:
                answers.append(found is not None)
            return found

    class Telling(Asked):
        could_use = staticmethod(placement.could_use)

    simulation.policies["placement"] = Asked() if silent else Telling()
    record = simulation.run()
    assert record.requests["outcome"].to_pylist() == ["finished"] * len(TRAFFIC)
    return answers


def test_who_found_no_place_is_not_asked_about_again_until_a_gpu_could_take_it() -> None:
    assert asked_about_the_third(silent=False) == [False, True]


def test_a_policy_that_does_not_tell_is_asked_whenever_memory_is_freed() -> None:
    *before, last = asked_about_the_third(silent=True)
    assert len(before) > 10
    assert not any(before)
    assert last


def crowded() -> Scenario:
    """Eight functions on two backbones, of which two GPUs have memory for a few at a time."""
    rng, count = np.random.default_rng(1), 100
    arrived_s, which = np.cumsum(rng.exponential(2.0, count)), rng.integers(0, 8, count)
    lengths = rng.integers(50, 200, count)
    rows = [(float(at_s), int(row), 200, int(n)) for at_s, row, n in zip(arrived_s, which, lengths, strict=True)]
    functions = make_functions(*["llama-2-7b", "llama-2-13b"] * 4)
    cluster = ClusterConfig(nodes=1, gpus_per_node=2)
    return Scenario("serverless-lora", functions, make_workload(rows, 2_048), cluster=cluster)


@pytest.mark.usefixtures("no_hang")
@settings(LAW, max_examples=40)
@given(scenario=scenarios())
@example(scenario=crowded())
def test_what_is_kept_in_order_is_what_a_search_of_all_finds(scenario: Scenario) -> None:
    kept_place, kept_container = Placing._kept_best_place, IdleContainers.best

    def place(self: Placing, function: Function, places: Any, view: Any, rank: Any) -> Any:
        found = kept_place(self, function, places, view, rank)
        assert found is self._best_place(function, places, rank)
        return found

    def container(self: IdleContainers, function: Function, room: Room) -> Any:
        wide = [c for c in self.view.idle_containers.values() if len(c.gpus) == function.backbone.tensor_parallel]
        keys = {
            c.id: (
                not room.fits(function, c),
                function.backbone not in c.gpu.backbones,
                room.processes(c),
                -c.gpu.free_bytes,
                c.id,
            )
            for c in wide
        }
        found = kept_container(self, function, room)
        assert (found and found.id) == min(keys, key=lambda id_: keys[id_], default=None)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Placing, "_kept_best_place", place)
        patch.setattr(IdleContainers, "best", container)
        scenario.run()


def tried(answer: Callable[[bool], bool]) -> tuple[Any, int]:
    """The requests of the crowded run where ``answer`` is made of whether memory could do, and the futile bindings."""
    could_fit, bind = Reservations.could_fit, Starter.bind
    futile = [0]

    def counted(self: Starter, *question: Any) -> bool:
        bound = bind(self, *question)
        futile[0] += not bound
        return bound

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Reservations, "could_fit", lambda self, *question: answer(could_fit(self, *question)))
        patch.setattr(Starter, "bind", counted)
        return crowded().run().requests.to_pandas(), futile[0]


def test_who_is_short_of_memory_is_tried_again_only_where_enough_may_leave() -> None:
    told, tries = tried(lambda could: could)
    always, more_tries = tried(lambda could: True)
    never, _ = tried(lambda could: False)
    assert_frame_equal(told, always, check_exact=True)
    assert tries < more_tries
    assert not told.equals(never)
