"""FaaSCache's offloading: keep-alive as caching, by greedy-dual priorities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from simlora.actions import Demand, Eviction
from simlora.entities import Function
from simlora.events import Event, InstanceStarted, InstanceStopped
from simlora.policies.base import PolicyContext
from simlora.policies.offloading.whole import idle_on, stop_in_turn
from simlora.policies.registry import register
from simlora.views import ClusterView, InstanceView

EVICTED = "least greedy-dual priority"


@dataclass(slots=True)
class _Cached:
    """What is known of a function; ``calls`` are those since it last had no instance."""

    density: float
    calls: int = 0
    instances: int = 0
    priority: float = 0.0


@register("offloading", "faascache")
@dataclass
class GreedyDual:
    """Whole idle instances, the least clock + calls x start-up seconds / bytes first; nothing if it is too little.

    A function's priority is set at each call, with the clock of that moment; the clock rises to the priority of what
    is evicted, so that what is not called ages. Of one function's instances the one unused for longest goes first.
    Nothing else ends an instance in this scheme: use it with ``keepalive = "forever"``.

    Source: FaaSCache (ASPLOS'21); github.com/aFuerst/faascache-sim: cost is the cold start beyond a warm run, calls are
    forgotten when the last instance has gone. There each container has a clock of its own, here each function.
    """

    _clock: float = field(init=False, repr=False, compare=False, default=0.0)
    _cached: dict[Function, _Cached] = field(init=False, repr=False, compare=False, default_factory=dict)

    def bind(self, context: PolicyContext) -> None:
        estimates = context.estimates
        for function in context.functions:
            size_bytes = sum(estimates.stage_device_bytes(function, stage) for stage in estimates.stages)
            self._cached[function] = _Cached(estimates.start_s(function, {}) / max(size_bytes, 1))

    def observe_arrival(self, function: Function, at_s: float) -> None:
        cached = self._cached[function]
        cached.calls += 1
        cached.priority = self._clock + cached.calls * cached.density

    def observe(self, event: Event) -> None:
        if isinstance(event, InstanceStarted) and event.function is not None:
            self._cached[event.function].instances += 1
        elif isinstance(event, InstanceStopped) and event.function is not None:
            cached = self._cached[event.function]
            if event.why == EVICTED:
                self._clock = max(self._clock, cached.priority)
            cached.instances -= 1
            if not cached.instances:
                cached.calls = 0

    def victims(self, demand: Demand, view: ClusterView) -> Sequence[Eviction]:
        in_turn = sorted(idle_on(demand), key=lambda i: (self._priority(i), i.last_used_s, i.id))
        return stop_in_turn(in_turn, demand.need_bytes, EVICTED)

    def _priority(self, instance: InstanceView) -> float:
        return self._cached[instance.function].priority if instance.function is not None else 0.0
