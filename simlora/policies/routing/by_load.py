"""Routing by what instances are doing: idle, starting, and how many requests they hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from simlora.actions import Binding, ColdStart, Hold, Route, ToInstance
from simlora.entities import Function, QueuedRequest
from simlora.policies.base import PolicyContext
from simlora.policies.estimates import Estimates
from simlora.policies.registry import register
from simlora.views import ClusterView, InstanceState, InstanceView

IDLE, STARTING, BUSY = InstanceState.IDLE, InstanceState.STARTING, InstanceState.BUSY
HOLD = Hold()
NEW = ColdStart("no idle instance")


@register("routing", "best-preloaded")
@dataclass
class BestPreloaded:
    """The idle instance that is nearest to ready, else a starting one, else a new one.

    Source: ServerlessLoRA routes to the instance with the most complete pre-load state; completeness is measured here
    by the seconds still missing, ties go to the instance started first. Assumption: a batch joins an instance that is
    starting while no more than ``starting_bound`` requests are bound to it (16 is SwarmLoRA's bound of a batch).
    """

    starting_bound: int = 16
    binding: Binding = field(default=Binding.ON_DISPATCH, init=False)
    _estimates: Estimates = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.starting_bound < 0:
            raise ValueError(f"starting_bound must be 0 or more (found {self.starting_bound})")

    def bind(self, context: PolicyContext) -> None:
        self._estimates = context.estimates

    def route(self, work: Sequence[QueuedRequest], function: Function, view: ClusterView) -> Route:
        idle: InstanceView | None = None
        starting: InstanceView | None = None
        idle_key = starting_key = (0.0, 0)
        for instance in view.instances_of(function).values():
            state, bound = instance.state, instance.bound
            if state is IDLE and not bound:
                key = (0.0 if instance.ready else self._estimates.missing_s(instance), instance.id)
                if idle is None or key < idle_key:
                    idle, idle_key = instance, key
            elif state is STARTING and bound + len(work) <= self.starting_bound:
                key = (self._estimates.missing_s(instance), instance.id)
                if starting is None or key < starting_key:
                    starting, starting_key = instance, key
        if idle is not None:
            return ToInstance(idle, "best preloaded")
        return ToInstance(starting, "already starting") if starting is not None else NEW


@register("routing", "round-robin")
@dataclass
class RoundRobin:
    """In turn over the ready instances that hold fewer than ``target`` requests; else hold: scaling starts instances.

    Source: ServerlessLLM's router. Without a cursor: the turn is that of the instance with the fewest requests whose
    last batch is longest ago, which for ``target = 1`` is the cyclic order.
    """

    target: int = 1
    binding: Binding = field(default=Binding.ON_DISPATCH, init=False)

    def __post_init__(self) -> None:
        if self.target < 1:
            raise ValueError(f"target must be at least 1 (found {self.target})")

    def route(self, work: Sequence[QueuedRequest], function: Function, view: ClusterView) -> Route:
        next_up: InstanceView | None = None
        next_key = (0, 0.0, 0)
        for instance in view.instances_of(function).values():
            if not instance.ready:
                continue
            held = instance.bound + len(instance.running)
            if held < self.target:
                key = (held, instance.last_used_s, instance.id)
                if next_up is None or key < next_key:
                    next_up, next_key = instance, key
        return ToInstance(next_up, "in turn") if next_up is not None else HOLD


@register("routing", "idle-or-start")
@dataclass
class IdleOrStart:
    """An idle instance, warm before pre-loaded before pre-loading; else a new one, one batch per instance.

    Source: InstaInfer sends an invocation to a warm instance, else to the pre-loaded instance of its function.
    Assumption: it waits for a pre-load under way rather than start from nothing.
    """

    binding: Binding = field(default=Binding.ON_DISPATCH, init=False)
    _estimates: Estimates = field(init=False, repr=False, compare=False)

    def bind(self, context: PolicyContext) -> None:
        self._estimates = context.estimates

    def route(self, work: Sequence[QueuedRequest], function: Function, view: ClusterView) -> Route:
        best: InstanceView | None = None
        best_key = (False, 0.0, 0)
        for instance in view.instances_of(function).values():
            if instance.bound or instance.state is BUSY:
                continue
            missing_s = 0.0 if instance.ready else self._estimates.missing_s(instance)
            key = (instance.state is STARTING, missing_s, instance.id)
            if best is None or key < best_key:
                best, best_key = instance, key
        return ToInstance(best, "warm or pre-loaded") if best is not None else NEW


@register("routing", "least-loaded")
@dataclass
class LeastLoaded:
    """At arrival, the engine with the fewest requests outstanding; among equals one that holds the adapter already.

    Source: the usual balancer in front of replicas (least outstanding requests), with the residency tie-break of
    LoRA-aware gateways. Ties end with the engine started first. One that starts after a failure gets requests only
    where no other is up, as behind a health check.
    """

    binding: Binding = field(default=Binding.ON_ARRIVAL, init=False)

    def route(self, work: Sequence[QueuedRequest], function: Function, view: ClusterView) -> Route:
        best: InstanceView | None = None
        best_key = (False, 0, False, 0)
        for instance in view.instances_of(function).values():
            held = instance.bound + len(instance.running)
            key = (not instance.ready, held, function not in instance.adapters, instance.id)
            if best is None or key < best_key:
                best, best_key = instance, key
        return ToInstance(best, "least loaded") if best is not None else NEW


@register("routing", "fill-up")
@dataclass
class FillUp:
    """In order of arrival to the fullest ready engine below ``target`` requests, so that others fall idle and end.

    Reserved engines come first, the least loaded of them, since they cost the same whatever they do. An engine counts
    as full, too, when its KV would not hold what waits there already and this request. Are all full, the least loaded
    takes more, up to ``most``. While none is ready, work goes to the starting engine with the fewest requests; without
    any, one starts. Beyond ``most`` requests wait in common until an engine finishes one or is up.

    Source: the concurrency that containers of rented platforms state (Modal's target and most inputs, Knative's target
    and limit), with idle containers the first to go. Assumption: among equals one that holds the adapter.
    """

    target: int = 16
    most: int = 256
    binding: Binding = field(default=Binding.ON_DISPATCH, init=False)
    _estimates: Estimates = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 1 <= self.target <= self.most:
            raise ValueError(f"target must be from 1 to most (found {self.target} and {self.most})")

    def bind(self, context: PolicyContext) -> None:
        self._estimates = context.estimates

    def route(self, work: Sequence[QueuedRequest], function: Function, view: ClusterView) -> Route:
        best: InstanceView | None = None
        best_key = (0, 0, False, 0)
        engines = view.instances_of(function).values()
        for instance in engines:
            held = instance.bound + len(instance.running)
            if held + len(work) > self.most:
                continue
            if not instance.ready:
                rank, load = 3, held
            elif self._is_full(instance, held, work):
                rank, load = 2, held
            elif instance.gpu.reserved:
                rank, load = 0, held
            else:
                rank, load = 1, -held
            key = (rank, load, function not in instance.adapters, instance.id)
            if best is None or key < best_key:
                best, best_key = instance, key
        if best is None:
            return HOLD if engines else NEW
        if best_key[0] == 3 and any(instance.ready for instance in engines):
            return HOLD
        return ToInstance(best, ("reserved", "fullest", "least loaded", "already starting")[best_key[0]])

    def _is_full(self, instance: InstanceView, held: int, work: Sequence[QueuedRequest]) -> bool:
        wanted_bytes = (instance.bound + len(work)) * self._estimates.request_bytes(work[0])
        return held + len(work) > self.target or wanted_bytes > instance.kv_free_bytes
