"""Routing that fills the busiest engine first, so that others fall idle and their GPUs can be given back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from simlora.actions import Binding, ColdStart, Hold, Route, ToInstance
from simlora.entities import Function, QueuedRequest
from simlora.policies.base import PolicyContext
from simlora.policies.estimates import Estimates
from simlora.policies.registry import register
from simlora.views import ClusterView, InstanceView

HOLD = Hold("no engine has room, one starts")
NEW = ColdStart("no engine has room")


@register("routing", "busiest")
@dataclass
class Busiest:
    """In order of arrival to the engine with the largest batch that has room, ties to the highest id.

    It has room if its batch is below ``most`` and its KV holds the request, what waits there, and the growth of all for
    ``headroom_steps`` steps; an empty engine always has. If none has, one more starts, unless one is starting already:
    then work waits for it, in common.

    Source: Punica (MLSys'24): batch of at most 32, the profiled limit of an A100, enough memory for KV, ties to the
    highest UUID, else first come, first served from a queue. Assumption: the headroom, without which a request that had
    to leave for want of KV would come straight back.
    """

    most: int = 32
    headroom_steps: int = 32
    binding: Binding = field(default=Binding.ON_DISPATCH, init=False)
    _estimates: Estimates = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.most < 1:
            raise ValueError(f"most must be at least 1 (found {self.most})")
        if self.headroom_steps < 0:
            raise ValueError(f"headroom_steps must be 0 or more (found {self.headroom_steps})")

    def bind(self, context: PolicyContext) -> None:
        self._estimates = context.estimates

    def route(self, work: Sequence[QueuedRequest], function: Function, view: ClusterView) -> Route:
        best: InstanceView | None = None
        best_key = (-1, -1)
        starting = False
        for instance in view.instances_of(function).values():
            held = instance.bound + len(instance.running)
            starting = starting or not instance.ready
            if instance.ready and self._has_room(instance, held, work):
                key = (held, instance.id)
                if best is None or key > best_key:
                    best, best_key = instance, key
        if best is not None:
            return ToInstance(best, "busiest with room")
        return HOLD if starting else NEW

    def _has_room(self, at: InstanceView, held: int, work: Sequence[QueuedRequest]) -> bool:
        if not held:
            return True
        if held + len(work) > self.most:
            return False
        wanted_bytes = sum(map(self._estimates.request_bytes, (*at.queue.in_order(), *work)))
        if work[0].function not in at.adapters:
            wanted_bytes += self._estimates.pool_adapter_bytes(work[0].function)
        growth_bytes = self.headroom_steps * (held + len(work)) * at.backbone.kv_bytes_per_token
        return wanted_bytes + growth_bytes <= at.kv_free_bytes
