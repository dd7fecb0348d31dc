"""Law 3: a bad route or placement is refused with an error that names the policy, and is never repaired."""

from __future__ import annotations

import copy

import pytest

from simlora.actions import Placement, ToInstance
from simlora.testing.refusals import Bad, Case, cases, idle, must_refuse, running, scenario, when

pytestmark = pytest.mark.usefixtures("no_hang")

PLACED = [(0.0, 0, 100, 300), (20.0, 1, 100, 10), (45.0, 0, 100, 10), (45.001, 0, 100, 10)]

ROUTES = {
    "nothing": Case(lambda s, work, function, view: None),
    "a text": Case(lambda s, work, function, view: "to the first"),
    "to nothing": Case(lambda s, work, function, view: ToInstance(None)),
    "to another function's": Case(
        lambda s, work, function, view: next(
            (ToInstance(i) for i in idle(view) if i.function is not None and i.function is not function), ...
        ),
        ("serverless-lora", "insta-infer"),
    ),
    "to a copy": Case(lambda s, work, function, view: next((ToInstance(copy.copy(i)) for i in idle(view)), ...)),
}

PLACES = {
    "a text": Case(lambda s, function, places, view: "anywhere", ("serverless-lora",)),
    "no GPU": Case(lambda s, function, places, view: Placement(None), ("serverless-lora",)),
    "a copy of a GPU": Case(lambda s, function, places, view: Placement(copy.copy(view.gpus[0])), ("serverless-lora",)),
    "a busy container": Case(
        when(running, lambda i: Placement(i.gpu, i.container)), ("serverless-lora", "insta-infer")
    ),
    "a GPU in use that takes one": Case(when(running, lambda i: Placement(i.gpu)), ("serverless-llm",)),
    "a container elsewhere": Case(
        lambda s, function, places, view: next(
            (Placement(view.gpus[1 - c.gpu.index], c) for c in view.idle_containers.values()), ...
        ),
        ("insta-infer",),
    ),
}


@cases(ROUTES)
def test_a_bad_route_is_refused(system: str, bad: Bad) -> None:
    must_refuse(scenario(system), "routing", "route", bad)


@cases(PLACES)
def test_a_bad_placement_is_refused(system: str, bad: Bad) -> None:
    must_refuse(scenario(system, PLACED), "placement", "place", bad)
