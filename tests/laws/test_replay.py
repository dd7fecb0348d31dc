"""Laws 1 and 2: a decision follows from what was observed and seen, and from nothing that lies in the future."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simlora.engine import Simulation
from simlora.policies.base import ROLES, Foresees
from simlora.policies.registry import policies_of
from simlora.testing.scenario import ROW, Scenario, make_functions, make_workload
from simlora.testing.strategies import scenarios, traffic, troubled
from simlora.validate.reasked import Reasked

pytestmark = pytest.mark.usefixtures("no_hang")
LAW = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
LONGEST = 400


@LAW
@given(scenario=scenarios() | troubled())
def test_a_second_run_decides_the_same(scenario: Scenario, listen: Callable[[Simulation], list[Any]]) -> None:
    logs = []
    for _ in range(2):
        simulation = scenario.simulation()
        logs.append(listen(simulation))
        simulation.run()
    assert logs[0] == logs[1]


@LAW
@given(scenario=scenarios() | troubled())
def test_fresh_policies_told_the_same_answer_the_same(scenario: Scenario) -> None:
    simulation = scenario.simulation()
    reasked = Reasked(simulation)
    simulation.run()
    assert reasked.parted == []
    assert len(reasked.answer_s) > 0


def with_another_future(scenario: Scenario, after_s: float, rows: list[ROW], longer: int) -> Scenario:
    """Other arrivals after a moment, and more tokens for all that have not ended by then; policies see one limit."""
    old, finished_s = scenario.workload, np.asarray(scenario.run().requests["finished_s"])
    output = np.where(finished_s < after_s, old.output_tokens, old.output_tokens + longer)
    columns = old.arrived_s.tolist(), old.function.tolist(), old.prompt_tokens.tolist(), output.tolist()
    past = [row for row in zip(*columns, strict=True) if row[0] <= after_s]
    future = [(after_s + at_s + 0.01, *rest) for at_s, *rest in rows]
    return replace(scenario, workload=make_workload([*past, *future], max_new_tokens=LONGEST))


def foretold(scenario: Scenario) -> bool:
    return any(isinstance(policy, Foresees) for policy in scenario.simulation().policies.values())


@LAW
@given(data=st.data(), scenario=scenarios(longest=LONGEST // 2), longer=st.integers(0, LONGEST // 2))
def test_the_future_of_a_trace_changes_no_decision_before_it(
    data: st.DataObject, scenario: Scenario, longer: int, listen: Callable[[Simulation], list[Any]]
) -> None:
    """But for the systems that have a policy which is told it, and says so by wanting to :class:`Foresees`."""
    if foretold(scenario):
        return
    output = scenario.workload
    scenario = replace(scenario, workload=replace(output, max_new_tokens=np.full(len(output), LONGEST, np.int32)))
    after_s = data.draw(st.floats(0.0, float(output.arrived_s[-1]) + 20.0))
    rows = data.draw(traffic(len(scenario.functions), most=4))
    logs, until_s = [], after_s
    for world in (scenario, with_another_future(scenario, after_s, rows, longer)):
        simulation = world.simulation()
        log = listen(simulation)
        # Nothing is planned once all requests have ended, which with another future may be later.
        until_s = min(until_s, simulation.run().facts["end_s"])
        logs.append(log)
    first, second = ([decision for decision in log if decision.at_s < until_s] for log in logs)
    assert first == second


# ---------------------------------------------------------------------------------------------- these laws can fail


def small() -> Scenario:
    rows = [(0.0, 0, 100, 30), (3.0, 1, 100, 5), (30.0, 0, 100, 30), (31.0, 1, 100, 50), (60.0, 0, 100, 9)]
    return Scenario("serverless-lora", make_functions("llama-2-7b", "llama-2-7b"), make_workload(rows, LONGEST))


def test_a_policy_that_keeps_count_of_its_own_parts_from_a_fresh_one() -> None:
    simulation, asked = small().simulation(), [0]
    keepalive = simulation.policies["keepalive"]

    def less_each_time(instance: Any, view: Any) -> Any:
        asked[0] += 1
        return type(keepalive).keep(keepalive, instance, view) if asked[0] % 2 else (("container", view.now_s + 1.0),)

    keepalive.keep = less_each_time
    reasked = Reasked(simulation)
    simulation.run()
    assert reasked.parted


def peeking_at(tokens: int) -> Callable[[Any, Any], Any]:
    return lambda instance, view: (("container", view.now_s + 10.0 + tokens),)


def test_a_policy_that_peeks_at_output_lengths_is_found_out(listen: Callable[[Simulation], list[Any]]) -> None:
    logs = []
    for world in (small(), with_another_future(small(), 30.5, [], longer=100)):
        simulation = world.simulation()
        simulation.policies["keepalive"].keep = peeking_at(int(simulation.workload.output_tokens.sum()))
        log = listen(simulation)
        simulation.run()
        logs.append([decision for decision in log if decision.at_s < 30.5])
    assert logs[0] != logs[1]


def test_a_policy_that_is_told_the_future_uses_it(listen: Callable[[Simulation], list[Any]]) -> None:
    """The systems that the law leaves out would break it."""
    told = replace(small(), system="clairvoyant-lora")
    assert foretold(told)
    assert not foretold(small())
    logs = []
    for world in (told, with_another_future(told, 30.5, [(20.0, 0, 100, 9)], longer=0)):
        simulation = world.simulation()
        log = listen(simulation)
        simulation.run()
        logs.append([decision for decision in log if decision.at_s < 30.5])
    assert logs[0] != logs[1]


def test_who_is_told_the_future_is_called_so() -> None:
    told = {name for role in ROLES for name, policy in policies_of(role).items() if issubclass(policy, Foresees)}
    assert told == {name for role in ROLES for name in policies_of(role) if name.startswith("clairvoyant-")}
    assert len(told) == 6
