"""Pre-loading without a forecast: nothing, everything, or engines that stand from the start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from simlora.actions import Placement, Plan, Start
from simlora.entities import Backbone, Function
from simlora.errors import ConfigError
from simlora.events import Cause, CauseKind, Event, InstanceStopped
from simlora.policies.base import PolicyContext
from simlora.policies.estimates import Estimates
from simlora.policies.registry import register
from simlora.views import ClusterView

NOTHING_TO_DO = Plan()


@register("preloading", "none")
@dataclass
class NoPreloading:
    """Nothing ahead of demand."""

    causes: frozenset[CauseKind] = field(default=frozenset(), init=False)

    def plan(self, causes: Sequence[Cause], view: ClusterView) -> Plan:
        return NOTHING_TO_DO


@register("preloading", "everything")
@dataclass
class Everything:
    """One pre-loaded instance of every function, in new containers, as long as memory lasts.

    An upper bound of what pre-loading can do, at its full price. Each goes to the GPU with the most free memory, in the
    order of the functions.
    """

    causes: frozenset[CauseKind] = field(default=frozenset({CauseKind.STARTED, CauseKind.MEMORY_FREED}), init=False)
    _estimates: Estimates = field(init=False, repr=False, compare=False)
    _absent: dict[int, Function] = field(init=False, repr=False, compare=False, default_factory=dict)

    def bind(self, context: PolicyContext) -> None:
        self._estimates = context.estimates
        self._absent = {function.index: function for function in context.functions}

    def observe(self, event: Event) -> None:
        if isinstance(event, InstanceStopped) and event.function is not None:
            self._absent[event.function.index] = event.function

    def plan(self, causes: Sequence[Cause], view: ClusterView) -> Plan:
        free = {gpu.index: gpu.free_bytes for gpu in view.gpus} if self._absent else {}
        starts: list[Start] = []
        for index in sorted(self._absent):
            function = self._absent[index]
            if not view.instances_of(function):
                gpu = min(view.gpus, key=lambda gpu: (-free[gpu.index], gpu.index))
                need_bytes = self._estimates.start_bytes(function, {}, gpu)
                if need_bytes > free[gpu.index]:
                    continue
                free[gpu.index] -= need_bytes
                deepest = self._estimates.preloadable[-1]
                starts.append(Start(function, function.backbone, Placement(gpu), deepest, why="every function"))
            del self._absent[index]
        return Plan(starts) if starts else NOTHING_TO_DO


@register("preloading", "always-on")
@dataclass
class AlwaysOn:
    """At the start, one engine per reserved GPU that serves every function of one backbone.

    Every backbone gets one GPU, the others go to the backbone with the most functions per GPU it has (Adams' rule;
    assumption: an operator deals reserved GPUs by the number of functions, not knowing their traffic). If there are
    others to start on and fewer reserved ones than backbones, those with the most functions get them.
    """

    causes: frozenset[CauseKind] = field(default=frozenset({CauseKind.STARTED}), init=False)
    _estimates: Estimates = field(init=False, repr=False, compare=False)

    def bind(self, context: PolicyContext) -> None:
        self._estimates = context.estimates

    def plan(self, causes: Sequence[Cause], view: ClusterView) -> Plan:
        if all(cause.kind is not CauseKind.STARTED for cause in causes):
            return NOTHING_TO_DO
        last = self._estimates.stages[-1]
        dealt = zip([gpu for gpu in view.gpus if gpu.reserved], self._deal(view), strict=True)
        return Plan([Start(None, backbone, Placement(gpu), last, why="always on") for gpu, backbone in dealt])

    @staticmethod
    def _deal(view: ClusterView) -> list[Backbone]:
        functions: dict[Backbone, int] = {}
        for function in view.functions:
            functions[function.backbone] = functions.get(function.backbone, 0) + 1
        backbones, gpus = list(functions), sum(gpu.reserved for gpu in view.gpus)
        if gpus == len(view.gpus) < len(backbones):
            found = f"{len(backbones)} backbones, {gpus} GPUs"
            raise ConfigError(f"always-on: an engine serves one backbone, so each needs a GPU (found {found})")
        first = sorted(backbones, key=lambda b: (-functions[b], backbones.index(b)))[:gpus]
        dealt = [backbone for backbone in backbones if backbone in first]
        while len(dealt) < gpus:
            dealt.append(max(backbones, key=lambda b: (functions[b] / dealt.count(b), -backbones.index(b))))
        return dealt
