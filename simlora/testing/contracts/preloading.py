"""What a policy that plans ahead may say: the roles preloading and rebalancing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from simlora.actions import DropAdapter, Evict, EvictBackbone, LoadAdapter, Migrate, Plan, Start, Stop
from simlora.events import Cause, CauseKind
from simlora.testing.contracts.base import PolicyContract, is_free
from simlora.testing.contracts.placement import check_place
from simlora.testing.worlds import World
from simlora.views import pinned_adapters

GENERAL = (CauseKind.STARTED, CauseKind.WOKEN, CauseKind.MEMORY_FREED, CauseKind.GPU_RETURNED)
"""Causes that concern no function."""


class PreloadingContract(PolicyContract):
    """Starts go to idle containers and fit together; what is stopped or evicted is idle; the next look is later.

    Nothing is done twice to one instance.
    """

    role = "preloading"

    def questions(self, policy: Any, world: World) -> Iterator[tuple[Any, Any]]:
        if len(world.view.gpus) < len({function.backbone for function in world.view.functions}):
            return
        assert isinstance(policy.causes, frozenset), f"causes must be a frozenset (found {policy.causes!r})"
        for kind in CauseKind:
            if kind in policy.causes:
                causes = [Cause(kind)] if kind in GENERAL else [Cause(kind, f) for f in world.view.functions]
                yield kind, policy.plan(causes, world.view)

    def check(self, policy: Any, asked: Any, answer: Plan, world: World) -> None:
        assert isinstance(answer, Plan), f"an answer is a Plan (found {answer!r})"
        now_s, wake_at_s = world.view.now_s, answer.wake_at_s
        assert wake_at_s is None or wake_at_s > now_s, f"wakes at {wake_at_s} s, which is not after now, {now_s} s"
        touched: list[int] = []
        for action in answer.actions:
            if isinstance(action, LoadAdapter | DropAdapter):
                _check_adapter(action)
                continue
            if isinstance(action, Migrate):
                _check_migration(action)
                continue
            assert isinstance(action, Start | Stop | Evict | EvictBackbone), f"{action!r} is no action of a plan"
            if isinstance(action, Start):
                _check_start(action, world)
            elif isinstance(action, EvictBackbone):
                mapped_by = action.gpu.backbones[action.backbone].mapped_by
                assert not mapped_by, f"evicts {action.backbone.name} from {action.gpu}, where {mapped_by} map it"
            else:
                assert is_free(action.instance), f"touches {action.instance}, which is not idle or has work bound"
            if not isinstance(action, EvictBackbone) and action.instance is not None:
                assert action.instance.id not in touched, f"does two things to {action.instance}"
                touched.append(action.instance.id)
        if all(isinstance(action, Start) for action in answer.actions):
            _check_room(answer, world)


def _check_migration(action: Migrate) -> None:
    request, source, to = action.request, action.source, action.to
    assert source is not to, f"moves {request} from {source} to itself"
    waits = any(one is request for one in source.queue.in_order())
    runs = any(running.request is request for running in source.running.values())
    assert waits or runs, f"moves {request}, which neither waits nor runs on {source}"
    for engine in (source, to):
        serves = engine.function is None and engine.backbone is request.function.backbone
        assert serves, f"moves {request} between {source} and {to}, which are not engines of its backbone"
    assert to.ready, f"moves {request} to {to}, which is still starting"


def _check_adapter(action: LoadAdapter | DropAdapter) -> None:
    at, function = action.instance, action.function
    serves = at.function is None and at.backbone is function.backbone
    assert serves, f"handles the adapter of {function.id} on {at}, no engine that serves it"
    if isinstance(action, LoadAdapter):
        assert at.ready, f"loads the adapter of {function.id} into {at}, which is still starting"
        there = function in at.adapters or function in at.planned_loads
        assert not there, f"loads the adapter of {function.id}, which {at} holds or is loading"
        room = len(pinned_adapters(at)) < at.adapter_slots
        assert room, f"loads the adapter of {function.id}, for which {at} has no room"
    else:
        free = function in at.adapters and function not in pinned_adapters(at)
        assert free, f"drops the adapter of {function.id} from {at}: absent or in use"


def _check_start(action: Start, world: World) -> None:
    estimates, instance = world.estimates, action.instance
    check_place(action.placement, action.backbone, world)
    allowed = estimates.stages if action.function is None else estimates.preloadable
    assert action.upto in allowed, f'starts up to "{action.upto}"; what can be done ahead is {", ".join(allowed)}'
    if action.function is not None:
        assert action.function.backbone is action.backbone, f"starts {action.function.id} with another's backbone"
    if instance is not None:
        assert is_free(instance), f"takes {instance} further, which is not idle or has work bound"
        assert instance.container is action.placement.container, f"takes {instance} further in another container"
        assert instance.function is action.function, f"takes {instance} further for another function"
        assert action.upto not in instance.done, f'takes {instance} to "{action.upto}", which it has behind it'


def _check_room(answer: Plan, world: World) -> None:
    """The starts of a plan that frees nothing fit what is free, a shared backbone counted once per GPU."""
    own = dict.fromkeys(range(len(world.view.gpus)), 0)
    shared: dict[tuple[int, str], int] = {}
    stages = world.estimates.stages
    for action in answer.actions:
        if not isinstance(action, Start) or action.function is None:
            continue
        gpus = action.placement.gpus
        done = action.instance.done if action.instance is not None else {}
        for stage in stages[: stages.index(action.upto) + 1]:
            if stage in done:
                continue
            size_bytes = world.estimates.stage_device_bytes(action.function, stage, gpus[0])
            for gpu in gpus:
                if stage in world.estimates.shared_stages:
                    shared[gpu.index, action.backbone.name] = size_bytes
                else:
                    own[gpu.index] += size_bytes
    for gpu in world.view.gpus:
        need_bytes = own[gpu.index] + sum(size for (index, _), size in shared.items() if index == gpu.index)
        assert need_bytes <= gpu.free_bytes or not need_bytes, (
            f"starts {need_bytes} bytes on {gpu}, where {gpu.free_bytes} are free"
        )
