"""ServerlessLoRA's precedence-constrained knapsack: what can be pre-loaded now, what it is worth, what it weighs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from simlora.actions import Placement, Plan, Start
from simlora.entities import Backbone, Function
from simlora.events import Cause, CauseKind, Event, InstanceEvicted, InstanceStopped
from simlora.policies.base import Forecast, PolicyContext
from simlora.policies.estimates import Estimates
from simlora.policies.preloading.room import IN_CONTAINER
from simlora.views import ClusterView, ContainerView, GpuView, InstanceState, InstanceView

NOTHING_TO_DO = Plan()


class Rates(dict[Function, float]):
    """Forecasts at one instant, each asked for once."""

    def __init__(self, forecast: Forecast, now_s: float) -> None:
        self._forecast = forecast
        self._now_s = now_s
        self._of_all: dict[Backbone, float] = {}

    def of_all(self, siblings: Sequence[Function]) -> float:
        """The sum over all functions of a backbone."""
        backbone = siblings[0].backbone
        if backbone not in self._of_all:
            self._of_all[backbone] = sum(self[function] for function in siblings)
        return self._of_all[backbone]

    def __missing__(self, function: Function) -> float:
        rate_per_s = self[function] = self._forecast.rate_per_s(function, self._now_s)
        return rate_per_s


class Lacking(NamedTuple):
    """A function of which something can be pre-loaded; ``partial``: an instance of its own that could go on."""

    function: Function
    partial: InstanceView | None


@dataclass
class Knapsack(ABC):
    """Items are stages of functions, bins the containers that are idle and their GPUs; how they are filled is open.

    An item's value is arrival rate x seconds saved, its weight the host and device bytes it adds. A stage can be taken
    once those before it are there or taken (library, then backbone, then adapter and kernels), in the container of its
    instance, hence on the GPU of its backbone. A backbone that functions would share counts the rates of all of them.
    The stages taken for one instance become one start, up to the deepest.

    Source: ServerlessLoRA (arXiv 2505.14468): items, value, constraints; no instance is created merely to pre-load.
    SwarmLoRA: the sum of rates. Assumptions: a function's items go to one container at a time; they are worth nothing
    while ``copies`` idle or pre-loading instances of it are as far already, or at ``min_rate_per_s`` and below.

    Only functions touched by a cause or an event since they were last found complete are looked at.
    """

    copies: int = 1
    min_rate_per_s: float = 0.0
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
        if self.min_rate_per_s < 0:
            raise ValueError("min_rate_per_s must be 0 or more")

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
        rates = Rates(self._forecast, view.now_s)
        lacking = self._lacking(view, rates)
        return Plan(self._fill(lacking, rates, view)) if lacking else NOTHING_TO_DO

    @abstractmethod
    def _fill(self, lacking: Sequence[Lacking], rates: Rates, view: ClusterView) -> list[Start]:
        """The starts to make, of functions in descending order of their rates."""

    def value(self, plan: Plan, view: ClusterView) -> float:
        """What the starts of a plan are worth: seconds of waiting saved per second. A shared backbone counts once."""
        rates = Rates(self._forecast, view.now_s)
        loads: dict[tuple[int, str], float] = {}
        total = 0.0
        for start in plan.actions:
            if isinstance(start, Start) and start.function is not None:
                gpu = start.placement.gpu
                for stage in self._missing(start.instance):
                    value = self._value(start.function, stage, gpu, rates)
                    if self._loads_for_all(start.function, stage, gpu):
                        loads[gpu.index, start.backbone.name] = value
                    else:
                        total += value
                    if stage == start.upto:
                        break
        return total + sum(loads.values())

    # ------------------------------------------------------------------ items

    def _loads_for_all(self, function: Function, stage: str, gpu: GpuView) -> bool:
        return stage in self._estimates.shared_stages and function.backbone not in gpu.backbones

    def _value(self, function: Function, stage: str, gpu: GpuView, rates: Rates) -> float:
        for_all = self._loads_for_all(function, stage, gpu)
        rate_per_s = rates.of_all(self._siblings[function.backbone]) if for_all else rates[function]
        return rate_per_s * self._estimates.stage_s(function, stage, gpu)

    def _missing(self, instance: InstanceView | None) -> Iterator[str]:
        done: Mapping[str, int] = IN_CONTAINER if instance is None else instance.done
        return (stage for stage in self._estimates.preloadable if stage not in done)

    @staticmethod
    def _start(lacking: Lacking, container: ContainerView, upto: str, why: str) -> Start:
        placement, function = Placement.at(container, container), lacking.function
        return Start(function, function.backbone, placement, upto, lacking.partial, why)

    # ------------------------------------------------------------------ who lacks what

    def _lacking(self, view: ClusterView, rates: Rates) -> list[Lacking]:
        """The touched functions by rate; those that lack nothing are forgotten until touched again, no rate asked."""
        found: list[Lacking] = []
        for index, function in list(self._touched.items()):
            complete, partial = self._progress(function, view)
            if complete >= self.copies or rates[function] <= self.min_rate_per_s:
                del self._touched[index]
            else:
                found.append(Lacking(function, partial))
        return sorted(found, key=lambda one: (-rates[one.function], one.function.index))

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
