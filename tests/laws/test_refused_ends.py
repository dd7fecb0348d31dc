"""Law 3: a bad answer on who stays, how many there are and who leaves is refused, and never repaired."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest

from simlora.actions import Evict, Preempt, Stop
from simlora.engine import Simulation
from simlora.testing.refusals import STEPS, STRANGER, Bad, idle, must_refuse, plain, scenario
from simlora.testing.scenario import Scenario, make_functions, make_workload

pytestmark = pytest.mark.usefixtures("no_hang")

KEEPS = {
    "nothing": lambda s, instance, view: None,
    "no such stage": lambda s, instance, view: (("warmth", view.now_s + 1.0),),
    "until the past": lambda s, instance, view: (("container", view.now_s - 1.0),),
    "until NaN": lambda s, instance, view: (("container", math.nan),),
    "a stage alone": lambda s, instance, view: ("container",),
}
WANTS = {
    "nothing": lambda s, function, view: None,
    "NaN": lambda s, function, view: math.nan,
    "less than none": lambda s, function, view: -1,
    "two and a half": lambda s, function, view: 2.5,
}
LEAVES = {
    "nothing": lambda s, at, view: None,
    "nobody": lambda s, at, view: Preempt(()),
    "all": lambda s, at, view: Preempt([r.request for r in at.running.values()]),
    "a stranger": lambda s, at, view: Preempt([STRANGER]),
    "one twice": lambda s, at, view: Preempt([next(iter(at.running.values())).request] * 2),
}


@plain(KEEPS, "serverless-lora", "serverless-llm", "insta-infer")
def test_a_bad_keep_alive_is_refused(system: str, bad: Bad) -> None:
    must_refuse(scenario(system), "keepalive", "keep", bad)


@plain(WANTS, "serverless-llm")
def test_a_bad_number_of_instances_is_refused(system: str, bad: Bad) -> None:
    must_refuse(scenario(system), "scaling", "desired", bad)


@plain(LEAVES, "vllm")
def test_a_bad_preemption_is_refused(system: str, bad: Bad) -> None:
    rows = [(0.0, 0, 800, 2000) for _ in range(20)]
    world = Scenario(system, make_functions("llama-2-13b"), make_workload(rows), steps=lambda instance: STEPS)
    must_refuse(world, "preemption", "preempt", bad)


# What must leave is asked on a GPU with room for one 13B model but not for two: the second function's needs room.
CROWDED = [(0.0, 0, 100, 10), (25.0, 1, 100, 10), (50.0, 0, 100, 10)]


def crowded(bad: Bad) -> None:
    functions = make_functions("llama-2-13b", "llama-2-13b")
    own_containers = {"containers": "dedicated", "placement": "most-free"}
    world = Scenario("insta-infer", functions, make_workload(CROWDED), own_containers, steps=lambda instance: STEPS)
    must_refuse(world, "offloading", "victims", bad)


OFFLOADS = {
    "nothing": lambda s, demand, view: None,
    "a text": lambda s, demand, view: ["the oldest"],
    "a copy": lambda s, demand, view: [Stop(copy.copy(i)) for i in idle(view)],
    "one twice": lambda s, demand, view: [Stop(i) for i in idle(view) for _ in range(2)],
    "a stage that is not done": lambda s, demand, view: [Evict(i, "warmth") for i in idle(view)],
}


@pytest.mark.parametrize("bad", [pytest.param(bad, id=name) for name, bad in OFFLOADS.items()])
def test_a_bad_eviction_is_refused(bad: Bad) -> None:
    crowded(bad)


def test_evicting_the_one_that_asks_is_refused() -> None:
    """The first function keeps its first stages only; on its next request its backbone wants the second's room."""

    def evict(simulation: Simulation, demand: Any, view: Any) -> Any:
        if demand.keep is None:
            return [Evict(i, "context") for i in idle(view)]
        return [Stop(i) for i in idle(view)]

    crowded(evict)
