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
    """ceil(ongoing / target) within [min_instances, max_instances], at most ``step`` more than there are at each tick.

    Source: ServerlessLLM's autoscaler (1 s loop, one start per loop, at most 10 instances by default); with a large
    ``step`` the target concurrency of rented platforms (Runpod's request count, Knative, Modal). It only asks for more;
    instances end by keep-alive.
    """

    target: int = 1
    step: int = 1
    min_instances: int = 0
    max_instances: int = 10
    tick_s: float = 1.0

    def __post_init__(self) -> None:
        if min(self.target, self.step) < 1:
            raise ValueError(f"target and step must be at least 1 (found {self.target} and {self.step})")
        if not 0 <= self.min_instances <= self.max_instances:
            found = f"found {self.min_instances} and {self.max_instances}"
            raise ValueError(f"min_instances must be from 0 to max_instances ({found})")
        if not self.tick_s > 0:
            raise ValueError(f"tick_s must be more than 0 (found {self.tick_s})")

    def desired(self, function: Function, view: ClusterView) -> int:
        wanted = min(max(-(-view.ongoing(function) // self.target), self.min_instances), self.max_instances)
        return min(wanted, len(view.instances_of(function)) + self.step)


@register("scaling", "queue-based")
@dataclass
class QueueBased:
    """ceil(queued / ``per_instance``) starting instances, ``at_once`` more at most; what is ready is left alone.

    Queued are the requests that no ready instance holds. Instances end by keep-alive.

    Source: HydraServe's autoscaler (github.com/LLMServe/hydraserve, Apache-2.0): ceil((queued - capacity of what is
    starting) / 8) new workers, up to 4 for a group, in windows of 1 s.
    """

    per_instance: int = 8
    at_once: int = 4
    tick_s: float = 1.0

    def __post_init__(self) -> None:
        if min(self.per_instance, self.at_once) < 1:
            found = f"found {self.per_instance} and {self.at_once}"
            raise ValueError(f"per_instance and at_once must be at least 1 ({found})")
        if not self.tick_s > 0:
            raise ValueError(f"tick_s must be more than 0 (found {self.tick_s})")

    def desired(self, function: Function, view: ClusterView) -> int:
        there = view.instances_of(function)
        ready = [instance for instance in there.values() if instance.ready]
        queued = view.ongoing(function) - sum(instance.bound + len(instance.running) for instance in ready)
        new = -(-queued // self.per_instance) - (len(there) - len(ready))
        return len(there) + min(max(new, 0), self.at_once)


@register("scaling", "one-light")
@dataclass
class OneLight:
    """One engine more whenever all there hold ``light`` requests or more; one that starts counts as light.

    Source: Punica asks for a GPU when none is lightly loaded; to return those without load is keep-alive's part.
    Assumption: what light is.
    """

    light: int = 8
    tick_s: float = 1.0

    def __post_init__(self) -> None:
        if self.light < 1:
            raise ValueError(f"light must be at least 1 (found {self.light})")
        if not self.tick_s > 0:
            raise ValueError(f"tick_s must be more than 0 (found {self.tick_s})")

    def desired(self, function: Function, view: ClusterView) -> int:
        engines = view.instances_of(function).values()
        is_light = any(not i.ready or i.bound + len(i.running) < self.light for i in engines)
        return len(engines) + (not is_light and view.ongoing(function) > 0)
