"""The knapsack of pre-loading: its greedy filling against the optimum, against every choice, and without a limit."""

from __future__ import annotations

import itertools
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simlora.actions import Placement, Plan, Start
from simlora.events import Cause, CauseKind
from simlora.policies.base import PolicyContext
from simlora.policies.forecast import SlidingWindow
from simlora.policies.predictor import MaxNewTokens
from simlora.policies.preloading import Everything, Pckp, PckpExact
from simlora.policies.preloading.room import IN_CONTAINER, Room
from simlora.testing.estimates import TableEstimates
from simlora.testing.scenario import make_functions
from simlora.testing.snapshot import Snapshot
from simlora.testing.views import FrozenGpu
from simlora.testing.worlds import World, make_world

SOLVED = 1e-6
"""Of the value, by which a solver may stop short of the optimum."""


def planned(policy: Any, world: World) -> Plan:
    policy.bind(world.context())
    plan: Plan = policy.plan([Cause(CauseKind.ARRIVED, function) for function in world.view.functions], world.view)
    return plan


@settings(max_examples=200, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000))
def test_greedy_is_never_worth_more_than_the_optimum(seed: int) -> None:
    world = make_world(random.Random(seed))
    greedy, exact = Pckp(), PckpExact()
    plans = [planned(policy, world) for policy in (greedy, exact)]
    assert exact.proved
    values = [exact.value(plan, world.view) for plan in plans]
    assert values[0] <= values[1] * (1 + SOLVED)
    assert greedy.value(plans[0], world.view) == values[0]


def test_the_greedy_filling_is_sometimes_worth_less() -> None:
    """Then the law above says something: the optimum is found where greed misses it."""
    short = 0
    for seed in range(300):
        world = make_world(random.Random(seed))
        greedy, exact = Pckp(), PckpExact()
        plans = [planned(policy, world) for policy in (greedy, exact)]
        short += exact.value(plans[0], world.view) < exact.value(plans[1], world.view) * (1 - SOLVED)
    assert short > 0


def add_idle(view: Snapshot, gpu: FrozenGpu, free_bytes: int) -> None:
    """A container in which somebody else's process is idle."""
    *_, other = make_functions(*["llama-2-7b"] * (len(view.functions) + 1))
    view.add_instance(other, view.add_container(gpu, free_bytes), {"container": 0})


def small(seed: int, shared: bool) -> World:
    """Three functions, of which nothing is loaded yet, two GPUs with little memory left."""
    rng = random.Random(seed)
    functions = make_functions("llama-2-7b", "llama-2-13b", "llama-2-7b")
    view = Snapshot(100.0, functions)
    node = view.add_node()
    for gpu in [view.add_gpu(node, rng.choice((15_000_000_000, 28_000_000_000, 42_000_000_000))) for _ in range(2)]:
        add_idle(view, gpu, rng.choice((700_000_000, 1_300_000_000)))
    arrivals = [(rng.choice(functions), 10.0 * i) for i in range(9)]
    return World(view, {}, arrivals, TableEstimates(shared=shared))


def every_plan(world: World) -> list[Plan]:
    """All ways to send each function to a container and take it to a stage there, as far as they fit."""
    estimates, containers = world.estimates, list(world.view.idle_containers.values())
    stages = [stage for stage in estimates.preloadable if stage not in IN_CONTAINER]
    choices = [None, *itertools.product(containers, range(1, len(stages) + 1))]
    plans = []
    for chosen in itertools.product(choices, repeat=len(world.view.functions)):
        room, starts = Room(estimates), []
        for function, choice in zip(world.view.functions, chosen, strict=True):
            if choice is not None:
                container, depth = choice
                if not all(room.take(function, stage, container) for stage in stages[:depth]):
                    break
                placement = Placement(container.gpu, container)
                starts.append(Start(function, function.backbone, placement, stages[depth - 1]))
        else:
            plans.append(Plan(starts))
    return plans


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("shared", [True, False])
def test_the_optimum_is_the_best_of_all_plans(seed: int, shared: bool) -> None:
    world, exact = small(seed, shared), PckpExact()
    found = exact.value(planned(exact, world), world.view)
    best = max(exact.value(plan, world.view) for plan in every_plan(world))
    assert found == pytest.approx(best, rel=SOLVED)
    assert found > 0


@pytest.mark.parametrize("policy", [Pckp, PckpExact])
@pytest.mark.parametrize("shared", [True, False])
def test_with_unlimited_memory_the_knapsack_is_preload_everything(policy: Any, shared: bool) -> None:
    functions = make_functions(*["llama-2-7b", "llama-2-13b"] * 6)
    view = Snapshot(100.0, functions)
    node = view.add_node()
    for _ in range(3):
        add_idle(view, view.add_gpu(node, 10**15), 10**15)
    world = World(view, {}, [(function, 50.0) for function in functions], TableEstimates(shared=shared))
    assert loaded(planned(policy(), world)) == loaded(planned_everything(world)) != {}


def loaded(plan: Plan) -> dict[str, str]:
    starts = [action for action in plan.actions if isinstance(action, Start) and action.function is not None]
    return {start.function.id: start.upto for start in sorted(starts, key=lambda s: s.function.index)}  # type: ignore[union-attr]


def planned_everything(world: World) -> Plan:
    policy = Everything()
    policy.bind(world.context())
    return policy.plan([Cause(CauseKind.STARTED)], world.view)


def test_a_search_without_time_says_that_it_proved_nothing() -> None:
    functions = make_functions(*["llama-2-7b", "llama-2-13b"] * 20)
    view = Snapshot(100.0, functions)
    node, rng = view.add_node(), random.Random(1)
    for _ in range(8):
        gpu = view.add_gpu(node, rng.randint(20, 45) * 1_000_000_000)
        for _ in range(2):
            add_idle(view, gpu, rng.randint(1, 9) * 500_000_000)
    forecast = SlidingWindow()
    for i in range(200):
        forecast.observe_arrival(rng.choice(functions), 0.5 * i)
    policy = PckpExact(node_limit=1, time_limit_s=1e-3)
    policy.bind(PolicyContext(functions, TableEstimates(), forecast, MaxNewTokens(), np.random.default_rng(0)))
    plan = policy.plan([Cause(CauseKind.ARRIVED, function) for function in functions], view)
    assert not policy.proved
    assert all(isinstance(start, Start) and "limits" in start.why for start in plan.actions)
