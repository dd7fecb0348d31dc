"""Cost follows change (law 9): who found no place is asked about again once a change concerns the answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from pandas.testing import assert_frame_equal

from simlora.cluster.hardware import Gpu
from simlora.engine.frontend import FrontEnd
from simlora.entities import Function
from simlora.policies.placement.by_room import Placing
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
