"""Plans are drawn up at most once per interval, for all causes of the interval together, and not for others."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest

from simlora.actions import Plan
from simlora.events import Cause, CauseKind
from simlora.testing.scenario import ROW, Scenario, make_functions, make_workload
from simlora.testing.steps import ConstantSteps

STEPS = ConstantSteps(0.05)
Asked = list[tuple[float, list[Cause]]]


def listen(
    kinds: set[CauseKind], *rows: ROW, interval_s: float = 1.0, wake: tuple[float, float] | None = None
) -> Asked:
    """What a policy that plans nothing is asked; ``wake``: at or after the first time it asks for the second."""
    traffic = make_workload(rows)
    functions = make_functions("llama-2-7b", "llama-2-7b")
    overrides = {"preloading": "none", "plan_interval_s": interval_s}
    simulation = Scenario("serverless-lora", functions, traffic, overrides, steps=lambda instance: STEPS).simulation()
    asked, waking = Asked(), [wake] if wake is not None else []

    def plan(causes: Sequence[Cause], view: Any) -> Plan:
        asked.append((view.now_s, list(causes)))
        if waking and view.now_s >= waking[0][0]:
            return Plan((), waking.pop()[1])
        return Plan()

    vars(simulation.policies["preloading"]).update(causes=frozenset(kinds), plan=plan)
    simulation.run()
    return asked


def test_a_burst_of_arrivals_is_one_question_after_the_first() -> None:
    arrivals = [(10.0 + 0.01 * i, i % 2, 10, 5) for i in range(30)]
    asked = listen({CauseKind.ARRIVED}, *arrivals)
    assert [at_s for at_s, _ in asked] == pytest.approx([10.0, 11.0])
    assert [len(causes) for _, causes in asked] == [1, 29]
    assert {cause.function.id for _, causes in asked for cause in causes if cause.function} == {"f0", "f1"}


@pytest.mark.parametrize("interval_s", [0.3, 1.0, 4.0])
def test_questions_are_an_interval_apart_and_no_cause_is_lost(interval_s: float) -> None:
    arrivals = [(0.17 * i, i % 2, 10, 5) for i in range(100)]
    asked = listen({CauseKind.ARRIVED}, *arrivals, interval_s=interval_s)
    assert min(later - earlier for (earlier, _), (later, _) in pairwise(asked)) >= interval_s - 1e-9
    told = sum(len(causes) for _, causes in asked)
    last_question_s = asked[-1][0]
    assert told == sum(at_s <= last_question_s for at_s, *_ in arrivals)
    assert last_question_s > arrivals[-1][0] - interval_s


def test_causes_that_nobody_wants_are_no_questions() -> None:
    assert listen(set(), (0.0, 0, 10, 5), (20.0, 1, 10, 5)) == []
    assert [causes for _, causes in listen({CauseKind.STARTED}, (5.0, 0, 10, 5))] == [[Cause(CauseKind.STARTED)]]


def test_the_start_is_told_before_the_first_arrival() -> None:
    asked = listen({CauseKind.STARTED, CauseKind.ARRIVED}, (0.0, 0, 10, 5))
    assert asked[0] == (0.0, [Cause(CauseKind.STARTED)])


def test_what_happens_to_an_instance_is_told_by_its_id_and_function() -> None:
    kinds = {CauseKind.LOAD_FINISHED, CauseKind.BECAME_IDLE}
    causes = [cause for _, some in listen(kinds, (0.0, 0, 10, 5), (40.0, 1, 10, 5)) for cause in some]
    first = [cause.kind for cause in causes if cause.instance == 0]
    assert first[:2] == [CauseKind.LOAD_FINISHED, CauseKind.BECAME_IDLE]
    assert all(cause.function is not None for cause in causes)


def test_a_policy_is_woken_when_it_asked_to_be_but_not_within_the_interval() -> None:
    kept_open = (60.0, 0, 10, 5)
    asked = listen({CauseKind.ARRIVED}, (5.0, 0, 10, 5), kept_open, wake=(5.0, 17.5))
    assert asked[1] == (17.5, [Cause(CauseKind.WOKEN)])
    asked = listen({CauseKind.ARRIVED}, (5.0, 0, 10, 5), kept_open, interval_s=3.0, wake=(5.0, 5.5))
    assert asked[1] == (8.0, [Cause(CauseKind.WOKEN)])


def test_nothing_is_planned_once_all_requests_have_ended() -> None:
    asked = listen(set(CauseKind), (0.0, 0, 10, 5))
    assert max(at_s for at_s, _ in asked) < 11.0


def test_the_end_of_a_batch_is_told() -> None:
    asked = listen({CauseKind.BATCH_ENDED}, (1.0, 0, 10, 5), (60.0, 0, 10, 5))
    told = [cause for _, causes in asked for cause in causes]
    assert [(cause.kind, cause.function.id) for cause in told if cause.function] == [(CauseKind.BATCH_ENDED, "f0")]
