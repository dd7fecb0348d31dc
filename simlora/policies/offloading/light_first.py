"""Torpor's offloading: models that are quick to swap in again leave first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from simlora.actions import Demand, Eviction
from simlora.policies.base import PolicyContext
from simlora.policies.estimates import Estimates
from simlora.policies.offloading.whole import idle_on, stop_in_turn
from simlora.policies.registry import register
from simlora.policies.swapping import is_light
from simlora.views import ClusterView, InstanceView


@register("offloading", "light-first")
@dataclass
class LightFirst:
    """Whole idle instances: first those whose function is on another GPU too, then light models, then the others.

    Each of these in the order of last use; nothing if all of them are too little. Source: Torpor (ATC'25): light models
    first, then least recently used, and no more than one replica of a model while memory is full.
    """

    _estimates: Estimates = field(init=False, repr=False, compare=False)

    def bind(self, context: PolicyContext) -> None:
        self._estimates = context.estimates

    def victims(self, demand: Demand, view: ClusterView) -> Sequence[Eviction]:
        def rank(instance: InstanceView) -> tuple[int, float, int]:
            function = instance.function
            if function is None:
                return 2, instance.last_used_s, instance.id
            kind = 0 if len(view.instances_of(function)) > 1 else 2 - is_light(self._estimates, function, instance.gpu)
            return kind, instance.last_used_s, instance.id

        return stop_in_turn(sorted(idle_on(demand), key=rank), demand.need_bytes, "lightest, then least recently used")
