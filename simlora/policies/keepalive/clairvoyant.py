"""Keep-alive that knows the next call."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from simlora.entities import ArtifactKind
from simlora.policies.foresight import Future
from simlora.policies.registry import register
from simlora.views import ClusterView, InstanceState, InstanceView


@register("keepalive", "clairvoyant-next-call")
@dataclass
class NextCall:
    """An instance stays until its function's next call if that comes within ``within_s``; if not it ends at once.

    Of several idle instances of one function each waits for a call of its own. ``margin_s``: how long it stays beyond,
    so that the call finds it. A reference, no bound: what it keeps may crowd out what is worth more.
    """

    within_s: float = 60.0
    margin_s: float = 1.0
    _future: Future = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not (0 <= self.within_s < math.inf and 0 < self.margin_s < math.inf):
            raise ValueError("within_s must be 0 or more and margin_s more than 0, both finite")

    def foresee(self, future: Future) -> None:
        self._future = future

    def keep(self, instance: InstanceView, view: ClusterView) -> Sequence[tuple[str, float]]:
        call_s = math.inf
        for function in view.functions if instance.function is None else (instance.function,):
            if function.backbone is instance.backbone:
                call_s = min(call_s, self._future.next_s(function, view.now_s, self._waiting(instance, view)))
        until_s = call_s + self.margin_s if call_s - view.now_s <= self.within_s else view.now_s
        return ((ArtifactKind.CONTAINER, until_s),)

    @staticmethod
    def _waiting(instance: InstanceView, view: ClusterView) -> int:
        """Others of the function that are idle already."""
        if instance.function is None:
            return 0
        others = view.instances_of(instance.function).values()
        return sum(i.id != instance.id and i.state is InstanceState.IDLE and not i.bound for i in others)
