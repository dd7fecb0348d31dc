"""Law 3: a bad plan is refused, and never repaired."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest

from simlora.actions import Evict, EvictBackbone, Placement, Plan, Start, Stop
from simlora.events import CauseKind
from simlora.testing.refusals import Bad, Case, cases, idle, must_refuse, running, scenario, when
from simlora.testing.scenario import make_functions

pytestmark = pytest.mark.usefixtures("no_hang")


def start_of(f: Any, gpu: Any, upto: str = "kernels", **more: Any) -> Start:
    return Start(f, f.backbone, Placement(gpu), upto, **more)


def go_on(instance: Any, upto: str) -> Start:
    return Start(instance.function, instance.backbone, Placement(instance.gpu, instance.container), upto, instance)


PLANS = {
    "nothing": Case(lambda s, causes, view: None),
    "a text": Case(lambda s, causes, view: Plan(["start something"])),
    "wake now": Case(lambda s, causes, view: Plan((), view.now_s)),
    "wake at NaN": Case(lambda s, causes, view: Plan((), math.nan)),
    "no such stage": Case(lambda s, causes, view: Plan([start_of(view.functions[0], view.gpus[0], "warmth")])),
    "another backbone": Case(
        lambda s, causes, view: Plan(
            [start_of(view.functions[0], view.gpus[0])._replace(backbone=make_functions("llama-2-13b")[0].backbone)]
        )
    ),
    "a copy of a GPU": Case(lambda s, causes, view: Plan([start_of(view.functions[0], copy.copy(view.gpus[0]))])),
    "more than fits": Case(
        lambda s, causes, view: Plan([start_of(view.functions[0], view.gpus[0])] * 5), ("insta-infer",)
    ),
    "two engines on one GPU": Case(
        lambda s, causes, view: Plan([Start(None, view.functions[0].backbone, Placement(view.gpus[0]), "adapter")] * 2),
        ("vllm",),
    ),
    "an engine for all where no process is shared": Case(
        lambda s, causes, view: (
            Plan([Start(None, view.functions[0].backbone, Placement(view.gpus[0]), "adapter")])
            if causes[0].kind is CauseKind.STARTED
            else ...
        ),
        ("serverless-lora",),
    ),
    "a stage that is done": Case(when(idle, lambda i: Plan([go_on(i, "library")])), ("serverless-lora",)),
    "a busy instance goes on": Case(when(running, lambda i: Plan([go_on(i, "kernels")])), ("serverless-lora",)),
    "one goes on twice": Case(
        lambda s, causes, view: next(
            (
                Plan([go_on(i, "kernels")] * 2) if "kernels" not in i.done else Plan([Evict(i, "backbone")])
                for i in idle(view)
            ),
            ...,
        ),
        ("serverless-lora",),
    ),
    "stopped, then goes on": Case(
        lambda s, causes, view: next(
            (
                Plan([Stop(i), go_on(i, "kernels")]) if "kernels" not in i.done else Plan([Evict(i, "backbone")])
                for i in idle(view)
            ),
            ...,
        ),
        ("serverless-lora",),
    ),
    "stop the busy": Case(when(running, lambda i: Plan([Stop(i)]))),
    "stop twice": Case(when(idle, lambda i: Plan([Stop(i), Stop(i)])), ("serverless-lora",)),
    "evict the busy": Case(when(running, lambda i: Plan([Evict(i, "adapter")])), ("serverless-lora",)),
    "evict what is not done": Case(when(idle, lambda i: Plan([Evict(i, "warmth")])), ("serverless-lora",)),
    "evict a mapped backbone": Case(
        when(idle, lambda i: Plan([EvictBackbone(i.gpu, i.backbone)])), ("serverless-lora",)
    ),
    "evict an absent backbone": Case(
        lambda s, causes, view: Plan([EvictBackbone(view.gpus[0], make_functions("llama-2-13b")[0].backbone)]),
        ("serverless-lora",),
    ),
}


@cases(PLANS)
def test_a_bad_plan_is_refused(system: str, bad: Bad) -> None:
    must_refuse(scenario(system), "preloading", "plan", bad, causes=frozenset(CauseKind))
