"""Law 6: nothing waits in the past, and a run that cannot reach its end says so instead of hanging."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from simlora.actions import Dispatch, Hold, Wait
from simlora.cluster.config import ClusterConfig
from simlora.engine import StalledError
from simlora.errors import SimloraError
from simlora.events import CauseKind
from simlora.testing.scenario import Scenario, make_functions, make_workload
from simlora.testing.steps import ConstantSteps

pytestmark = pytest.mark.usefixtures("no_hang")
SERVERLESS = ("serverless-lora", "serverless-llm", "insta-infer", "serverless-vllm")
SYSTEMS = (*SERVERLESS, "vllm")


def scenario(system: str, *rows: tuple[float, int, int, int], **overrides: Any) -> Scenario:
    steps = ConstantSteps(0.05)
    traffic = make_workload(rows or [(0.0, 0, 100, 10), (0.5, 0, 100, 10), (40.0, 1, 100, 10)])
    functions = make_functions("llama-2-7b", "llama-2-7b")
    return Scenario(system, functions, traffic, overrides, steps=lambda instance: steps)


@pytest.mark.parametrize("system", SYSTEMS)
def test_work_that_is_held_for_ever_stalls(system: str) -> None:
    simulation = scenario(system).simulation()
    simulation.policies["routing"].route = lambda work, function, view: Hold()
    simulation.policies["scaling"].desired = lambda function, view: 0
    with pytest.raises(StalledError, match=f'system "{system}": no request will move after .* 3 have not ended'):
        simulation.run()


@pytest.mark.parametrize("system", SERVERLESS)
def test_a_batch_that_is_never_formed_stalls(system: str) -> None:
    simulation = scenario(system).simulation()
    simulation.policies["batching"].next_batch = lambda at, ready, view: Wait()
    with pytest.raises(StalledError, match="the first <request 0 of f0 at 0"):
        simulation.run()


@pytest.mark.parametrize("system", SERVERLESS)
def test_an_instance_that_can_never_be_placed_stalls(system: str) -> None:
    simulation = scenario(system).simulation()
    simulation.policies["placement"].place = lambda function, places, view: None
    with pytest.raises(StalledError):
        simulation.run()


def test_a_function_that_never_finds_room_beside_what_stays_for_ever_stalls() -> None:
    functions = make_functions("llama-2-13b", "llama-2-13b")
    rows = [(0.0, 0, 100, 10), (30.0, 1, 100, 10)]
    for_ever = {"keepalive": "forever", "offloading": "none"}
    with pytest.raises(StalledError):
        Scenario("serverless-llm", functions, make_workload(rows), for_ever | {"limits.instances_per_gpu": 2}).run()


@pytest.mark.parametrize("preloading", ["none", "everything", "pckp", "opportunistic"])
@pytest.mark.parametrize("keepalive", ["none", "forever", "fixed"])
@pytest.mark.parametrize("system", ["serverless-lora", "insta-infer"])
def test_every_pre_loading_with_every_keep_alive_comes_to_an_end(system: str, preloading: str, keepalive: str) -> None:
    record = scenario(system, preloading=preloading, keepalive=keepalive).run()
    assert record.requests["outcome"].to_pylist() == ["finished"] * 3


@pytest.mark.parametrize("keepalive", ["none", "forever", "fixed"])
def test_a_router_that_waits_for_ready_instances_gets_them(keepalive: str) -> None:
    record = scenario("serverless-llm", keepalive=keepalive).run()
    assert record.requests["outcome"].to_pylist() == ["finished"] * 3


def test_starts_that_nobody_completes_are_no_progress() -> None:
    """ServerlessLLM's router waits for ready instances, and a pre-loading that stops short of ready starts others."""
    with pytest.raises(StalledError):
        scenario("serverless-llm", preloading="everything", keepalive="fixed").run()


@pytest.mark.parametrize("system", ["serverless-lora", "insta-infer"])
def test_a_keep_alive_by_stages_comes_to_an_end(system: str) -> None:
    simulation = scenario(system).simulation()
    simulation.policies["keepalive"].keep = lambda instance, view: (
        ("container", view.now_s + 100.0),
        ("adapter", view.now_s + 20.0),
    )
    assert simulation.run().requests["outcome"].to_pylist() == ["finished"] * 3


@pytest.mark.parametrize("tick_s", [0.01, 0.1, 0.3, 0.7, 1.0, 3.3])
def test_scaling_ticks_go_on_whatever_their_length(tick_s: float) -> None:
    ticks = list[float]()
    world = scenario("serverless-llm", (0.0, 0, 100, 600), scaling={"policy": "ongoing", "tick_s": tick_s})
    simulation = world.simulation()
    desired = simulation.policies["scaling"].desired

    def noted(function: Any, view: Any) -> Any:
        ticks.append(view.now_s)
        return desired(function, view)

    simulation.policies["scaling"].desired = noted
    simulation.run()
    assert ticks == pytest.approx([tick_s * (k + 1) for k in range(len(ticks))], rel=1e-9)
    assert len(ticks) > 30.0 / tick_s


def test_nobody_is_asked_about_a_function_without_work() -> None:
    """The first request is over long before 40 s; from then to the second there is nothing to scale."""
    world = scenario("serverless-llm", (0.0, 0, 100, 10), (80.3, 1, 100, 10))
    simulation, asked = world.simulation(), list[tuple[str, float]]()
    policy = simulation.policies["scaling"]

    def noted(function: Any, view: Any) -> Any:
        asked.append((function.id, view.now_s))
        return type(policy).desired(policy, function, view)

    policy.desired = noted
    simulation.run()
    assert [function for function, at_s in asked if 40.0 < at_s < 80.0] == []
    assert {function for function, at_s in asked if at_s > 80.0} == {"f1"}


def test_a_plan_that_wants_to_be_woken_all_the_time_is_woken_once_per_interval() -> None:
    asked = list[float]()
    world = scenario("serverless-lora", plan_interval_s=0.7)
    simulation = world.simulation()
    policy = simulation.policies["preloading"]

    def plan(causes: Any, view: Any) -> Any:
        asked.append(view.now_s)
        return type(policy).plan(policy, causes, view)._replace(wake_at_s=view.now_s + 1e-6 if view.now_s < 9 else None)

    policy.plan = plan
    policy.causes = frozenset(CauseKind)
    simulation.run()
    gaps = [later - earlier for earlier, later in pairwise(asked)]
    assert min(gaps) >= 0.7 - 1e-9
    assert len([at_s for at_s in asked if at_s < 9]) == pytest.approx(9 / 0.7, abs=1)


@pytest.mark.parametrize("system", SERVERLESS)
def test_a_policy_that_forms_the_same_batch_for_ever_does_not_hang(system: str) -> None:
    """It dispatches what it dispatched before, though that is bound or held by now."""
    simulation = scenario(system).simulation()
    kept = list[Dispatch]()
    batching = simulation.policies["batching"]

    def again(at: Any, ready: Any, view: Any) -> Any:
        if at is not None:
            return type(batching).next_batch(batching, at, ready, view)
        kept.append(Dispatch([next(ready.in_order())]))
        return kept[0]

    batching.next_batch = again
    with pytest.raises(SimloraError):
        simulation.run()


def test_an_engine_asked_for_more_steps_of_time_than_a_float_has_goes_on() -> None:
    """Late in a long run a step is less than the spacing of floats times a million, and still ends."""
    late_s = 3.2e7
    world = Scenario(
        "vllm",
        make_functions("llama-2-7b"),
        make_workload([(late_s, 0, 10, 50), (late_s + 0.31, 0, 10, 50)]),
        {},
        ClusterConfig(nodes=1, gpus_per_node=1),
    )
    columns = world.run().requests.to_pydict()
    assert columns["outcome"] == ["finished"] * 2
