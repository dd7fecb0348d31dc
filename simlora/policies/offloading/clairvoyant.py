"""Offloading that knows the next calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from simlora.actions import Demand, Eviction
from simlora.policies.foresight import Future
from simlora.policies.offloading.whole import idle_on, stop_in_turn
from simlora.policies.registry import register
from simlora.views import ClusterView, InstanceView


@register("offloading", "clairvoyant-belady")
@dataclass
class Belady:
    """Whole idle instances, the one whose function is called again last first; nothing if all are too little.

    Source: L. A. Belady, A study of replacement algorithms for a virtual-storage computer, IBM Systems Journal 5, 1966.
    The optimum for pages of one size and one price; instances have neither, so here it is a reference and no bound.
    """

    _future: Future = field(init=False, repr=False, compare=False)

    def foresee(self, future: Future) -> None:
        self._future = future

    def victims(self, demand: Demand, view: ClusterView) -> Sequence[Eviction]:
        in_turn = sorted(idle_on(demand), key=lambda i: (-self._next_s(i, view), i.id))
        return stop_in_turn(in_turn, demand.need_bytes, "called again last")

    def _next_s(self, instance: InstanceView, view: ClusterView) -> float:
        served = view.functions if instance.function is None else (instance.function,)
        return min(self._future.next_s(f, view.now_s) for f in served if f.backbone is instance.backbone)
