"""Torpor's routing: to a GPU that is free, wherever the model is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from simlora.actions import Binding, Route, ToInstance
from simlora.entities import Function, QueuedRequest
from simlora.policies.placement.by_room import in_use
from simlora.policies.registry import register
from simlora.policies.routing.by_load import NEW
from simlora.views import ClusterView


@register("routing", "free-gpu")
@dataclass
class FreeGpu:
    """The function's instance on a GPU in no use, the one used last first; else a new one, where a GPU is free.

    A GPU serves one function at a time, so a model on a GPU in use does not help. Without a free GPU the work waits.
    Source: Torpor (ATC'25), late binding.
    """

    binding: Binding = field(default=Binding.ON_DISPATCH, init=False)

    def route(self, work: Sequence[QueuedRequest], function: Function, view: ClusterView) -> Route:
        free = [i for i in view.instances_of(function).values() if not in_use(i.gpu)]
        latest = min(free, key=lambda i: (not i.ready, -i.last_used_s, i.id), default=None)
        return ToInstance(latest, "on a free GPU") if latest is not None else NEW
