"""ServerlessLoRA's pre-loading: a precedence-constrained knapsack, filled greedily by value density."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from simlora.actions import Placement, Plan, Start
from simlora.entities import Backbone, Function
from simlora.events import Cause, CauseKind, Event, InstanceEvicted, InstanceStopped
from simlora.policies.base import Forecast, PolicyContext
from simlora.policies.estimates import Estimates
from simlora.policies.preloading.room import IN_CONTAINER, Room
from simlora.policies.registry import register
from simlora.views import ClusterView, ContainerView, InstanceState, InstanceView

NOTHING_TO_DO = Plan()


class _Target:
    """A function's candidate: the container it would be pre-loaded in and the stages still to come there."""

    __slots__ = ("container", "function", "instance", "stages", "upto")

    def __init__(
        self, function: Function, container: ContainerView, instance: InstanceView | None, stages: Iterator[str]
    ) -> None:
        self.function = function
        self.container = container
        self.instance = instance
        self.stages = stages
        self.upto = ""


class _Rates(dict[Function, float]):
    """Forecasts at one instant, each asked for once."""

    def __init__(self, forecast: Forecast, now_s: float) -> None:
        self._forecast = forecast
        self._now_s = now_s

    def __missing__(self, function: Function) -> float:
        rate_per_s = self[function] = self._forecast.rate_per_s(function, self._now_s)
        return rate_per_s


@register("preloading", "pckp")
@dataclass
class Pckp:
    """Pre-load the stages with the highest value density into containers that are idle already.

    An item is one stage of one function: its value is arrival rate x seconds saved, its weight the host and device
    bytes it adds. A stage can be taken once those before it are there or taken (library, then backbone, then adapter
    and kernels), in the container of its instance, hence on the GPU of its backbone. A backbone that functions would
    share counts the rates of all of them. The stages taken for one instance become one start, up to the deepest.

    Source: ServerlessLoRA (arXiv 2505.14468): items, value, constraints and the greedy rule; no instance is created
    merely to pre-load. SwarmLoRA: the sum of rates. Assumptions: a function's items go to one container at a time, the
    one whose GPU holds its backbone, then with the fewest processes, then with the most memory; they are worth nothing
    while ``copies`` idle or pre-loading instances of it are as far already; ``min_rate_per_s`` and ``min_density``
    (per second and byte, times seconds) are 0.

    Only functions touched by a cause or an event since they were last found complete are looked at.
    """

    copies: int = 1
    min_rate_per_s: float = 0.0
    min_density: float = 0.0
    causes: frozenset[CauseKind] = field(
        default=frozenset({CauseKind.ARRIVED, CauseKind.BECAME_IDLE, CauseKind.MEMORY_FREED, CauseKind.LOAD_FINISHED}),
        init=False,
    )
    _estimates: Estimates = field(init=False, repr=False, compare=False)
    _forecast: Forecast = field(init=False, repr=False, compare=False)
    _siblings: dict[Backbone, list[Function]] = field(init=False, repr=False, compare=False, default_factory=dict)
    _touched: dict[int, Function] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        if self.copies < 1:
            raise ValueError(f"copies must be at least 1 (found {self.copies})")
        if self.min_rate_per_s < 0 or self.min_density < 0:
            raise ValueError("min_rate_per_s and min_density must be 0 or more")

    def bind(self, context: PolicyContext) -> None:
        self._estimates = context.estimates
        self._forecast = context.forecast
        for function in context.functions:
            self._siblings.setdefault(function.backbone, []).append(function)

    def observe(self, event: Event) -> None:
        if isinstance(event, InstanceStopped | InstanceEvicted) and event.function is not None:
            self._touched[event.function.index] = event.function

    def plan(self, causes: Sequence[Cause], view: ClusterView) -> Plan:
        for cause in causes:
            if cause.function is not None:
                self._touched[cause.function.index] = cause.function
        if not self._touched or not view.idle_containers:
            return NOTHING_TO_DO
        room = Room(self._estimates)
        rates = _Rates(self._forecast, view.now_s)
        targets = self._targets(view, room, rates)
        if not targets:
            return NOTHING_TO_DO
        heap: list[tuple[float, int, str]] = []
        for index, target in targets.items():
            self._push_next(heap, index, target, rates)
        while heap:
            _, index, stage = heapq.heappop(heap)
            target = targets[index]
            if room.take(target.function, stage, target.container):
                target.upto = stage
                self._push_next(heap, index, target, rates)
        return Plan([self._start(target) for target in targets.values() if target.upto])

    @staticmethod
    def _start(target: _Target) -> Start:
        placement = Placement(target.container.gpu, target.container)
        backbone = target.function.backbone
        return Start(target.function, backbone, placement, target.upto, target.instance, "highest value density")

    def _push_next(self, heap: list[tuple[float, int, str]], index: int, target: _Target, rates: _Rates) -> None:
        stage = next(target.stages, None)
        if stage is None:
            return
        function, gpu = target.function, target.container.gpu
        loads_for_all = stage in self._estimates.shared_stages and function.backbone not in gpu.backbones
        users = self._siblings[function.backbone] if loads_for_all else (function,)
        rate_per_s = sum(rates[user] for user in users)
        weight_bytes = self._estimates.stage_host_bytes(function, stage)
        weight_bytes += self._estimates.stage_device_bytes(function, stage, gpu)
        density = rate_per_s * self._estimates.stage_s(function, stage, gpu) / max(weight_bytes, 1)
        if density >= self.min_density:
            heapq.heappush(heap, (-density, index, stage))

    def _targets(self, view: ClusterView, room: Room, rates: _Rates) -> dict[int, _Target]:
        """Where each touched function can go on; those that lack nothing are forgotten until touched again."""
        targets: dict[int, _Target] = {}
        for index, function in sorted(self._touched.items(), key=lambda item: (-rates[item[1]], item[0])):
            complete, partial = self._progress(function, view)
            if complete >= self.copies or rates[function] <= self.min_rate_per_s:
                del self._touched[index]
            elif partial is not None:
                targets[index] = _Target(function, partial.container, partial, self._missing(partial.done))
            elif (container := self._container(function, view, room)) is not None:
                room.add_process(container)
                targets[index] = _Target(function, container, None, self._missing(IN_CONTAINER))
        return targets

    def _progress(self, function: Function, view: ClusterView) -> tuple[int, InstanceView | None]:
        """How many free instances are complete or on their way, and the most advanced of its own that could go on.

        An engine that serves several functions is nobody's own: which stages it has is not one function's to say.
        """
        complete = 0
        deepest = self._estimates.preloadable[-1]
        best: InstanceView | None = None
        for instance in view.instances_of(function).values():
            if instance.bound or instance.state is InstanceState.BUSY:
                continue
            if instance.state is InstanceState.STARTING or deepest in instance.done:
                complete += 1
            elif (
                instance.function is function
                and instance.container.id in view.idle_containers
                and (best is None or (-len(instance.done), instance.id) < (-len(best.done), best.id))
            ):
                best = instance
        return complete, best

    def _missing(self, done: Mapping[str, int]) -> Iterator[str]:
        return (stage for stage in self._estimates.preloadable if stage not in done)

    def _container(self, function: Function, view: ClusterView, room: Room) -> ContainerView | None:
        best: ContainerView | None = None
        best_key: tuple[bool, bool, int, int, int] | None = None
        for container in view.idle_containers.values():
            gpu = container.gpu
            absent = function.backbone not in gpu.backbones
            key = (not room.fits(function, gpu), absent, room.processes(container), -gpu.free_bytes, container.id)
            if best_key is None or key < best_key:
                best, best_key = container, key
        return best
