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
from simlora.policies.preloading.room import Free
from simlora.policies.registry import register
from simlora.views import ClusterView, PlaceView

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
        if not self._absent:
            return NOTHING_TO_DO
        free = Free(view)
        starts: list[Start] = []
        for index in sorted(self._absent):
            function = self._absent[index]
            if not view.instances_of(function):
                place = free.most(function)
                if place is None or not free.take(place, self._estimates.start_bytes(function, {}, place.gpu)):
                    continue
                deepest = self._estimates.preloadable[-1]
                starts.append(Start(function, function.backbone, Placement.at(place), deepest, why="every function"))
            del self._absent[index]
        return Plan(starts) if starts else NOTHING_TO_DO


@register("preloading", "always-on")
@dataclass
class AlwaysOn:
    """One engine per reserved GPU that serves every function of one backbone, or per as many GPUs of a node as the
    backbone is split over, the widest first: at the start and after a failure.

    Every backbone gets one, the others go to the backbone with the most functions per GPU it has (Adams' rule;
    assumption: an operator deals reserved GPUs by the number of functions, not knowing their traffic). If there are
    others to start on and fewer reserved ones than backbones, those with the most functions get them. One that fails
    starts again where it was, or when that is back; no other GPU takes its place.
    """

    causes: frozenset[CauseKind] = field(
        default=frozenset({CauseKind.STARTED, CauseKind.FAILED, CauseKind.GPU_RETURNED}), init=False
    )
    _estimates: Estimates = field(init=False, repr=False, compare=False)
    _dealt: list[tuple[Backbone, PlaceView]] = field(init=False, repr=False, compare=False, default_factory=list)

    def bind(self, context: PolicyContext) -> None:
        self._estimates = context.estimates

    def plan(self, causes: Sequence[Cause], view: ClusterView) -> Plan:
        if any(cause.kind is CauseKind.STARTED for cause in causes):
            self._dealt = self._lay_out(view)
        last = self._estimates.stages[-1]
        empty = [
            (backbone, place)
            for backbone, place in self._dealt
            if place in view.places(backbone.tensor_parallel) and not any(gpu.instances for gpu in place.gpus)
        ]
        starts = [Start(None, backbone, Placement.at(place), last, why="always on") for backbone, place in empty]
        return Plan(starts) if starts else NOTHING_TO_DO

    def _lay_out(self, view: ClusterView) -> list[tuple[Backbone, PlaceView]]:
        free = {gpu.index for gpu in view.gpus if gpu.reserved}
        laid_out: list[tuple[Backbone, PlaceView]] = []
        for backbone in sorted(self._deal(view), key=lambda backbone: -backbone.tensor_parallel):
            places = view.places(backbone.tensor_parallel)
            place = next((p for p in places if all(gpu.index in free for gpu in p.gpus)), None)
            served = any(other is backbone for other, _ in laid_out)
            if place is None and places and not served and all(gpu.reserved for gpu in view.gpus):
                wide = f"{backbone.tensor_parallel} GPUs of one node"
                raise ConfigError(f"always-on: {backbone.name} goes on {wide}, and the others leave none such")
            if place is not None:
                laid_out.append((backbone, place))
                free -= {gpu.index for gpu in place.gpus}
        return laid_out

    @staticmethod
    def _deal(view: ClusterView) -> list[Backbone]:
        functions: dict[Backbone, int] = {}
        for function in view.functions:
            functions[function.backbone] = functions.get(function.backbone, 0) + 1
        backbones, gpus = list(functions), sum(gpu.reserved for gpu in view.gpus)
        wanted = sum(backbone.tensor_parallel for backbone in backbones)
        if gpus == len(view.gpus) < wanted:
            found = f"{len(backbones)} backbones for {wanted} GPUs, {gpus} GPUs"
            raise ConfigError(f"always-on: an engine serves one backbone, so each needs its GPUs (found {found})")
        got: dict[Backbone, int] = {}
        for backbone in sorted(backbones, key=lambda b: (-functions[b], backbones.index(b))):
            if backbone.tensor_parallel <= gpus:
                got[backbone] = backbone.tensor_parallel
                gpus -= backbone.tensor_parallel
        dealt = [backbone for backbone in backbones if backbone in got]
        while fitting := [backbone for backbone in got if backbone.tensor_parallel <= gpus]:
            more = max(fitting, key=lambda b: (functions[b] / got[b], -backbones.index(b)))
            got[more] += more.tensor_parallel
            gpus -= more.tensor_parallel
            dealt.append(more)
        return dealt
