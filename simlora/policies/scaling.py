"""Scaling: how many instances a function should have, apart from those that routing starts on demand."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from simlora.entities import Function
from simlora.policies.registry import register
from simlora.views import ClusterView


@register("scaling", "on-demand")
@dataclass
class OnDemand:
    """As many as there are: only routing starts instances. Its tick never comes."""

    tick_s: float = field(default=math.inf, init=False)

    def desired(self, function: Function, view: ClusterView) -> int:
        return len(view.instances_of(function))


@register("scaling", "ongoing")
@dataclass
class Ongoing:
    """ceil(ongoing / target) within [min_instances, max_instances], at most one more than there are at each tick.

    Ongoing requests are those that wait at the front end or are bound to an instance and not finished.
    Source: ServerlessLLM's autoscaler (1 s loop, one start per loop, at most 10 instances by default). It only asks for
    more; instances end by keep-alive.
    """

    target: int = 1
    min_instances: int = 0
    max_instances: int = 10
    tick_s: float = 1.0

    def __post_init__(self) -> None:
        if self.target < 1:
            raise ValueError(f"target must be at least 1 (found {self.target})")
        if not 0 <= self.min_instances <= self.max_instances:
            found = f"found {self.min_instances} and {self.max_instances}"
            raise ValueError(f"min_instances must be from 0 to max_instances ({found})")
        if not self.tick_s > 0:
            raise ValueError(f"tick_s must be more than 0 (found {self.tick_s})")

    def desired(self, function: Function, view: ClusterView) -> int:
        ongoing = view.waiting(function) + view.running(function)
        wanted = min(max(-(-ongoing // self.target), self.min_instances), self.max_instances)
        return min(wanted, len(view.instances_of(function)) + 1)
