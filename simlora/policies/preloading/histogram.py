"""The hybrid histogram's pre-warming."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

from simlora.actions import Placement, Plan, Start
from simlora.entities import Function
from simlora.events import Cause, CauseKind
from simlora.policies.base import PolicyContext
from simlora.policies.estimates import Estimates
from simlora.policies.idle_times import IdleTimes
from simlora.policies.preloading.room import Free
from simlora.policies.registry import register
from simlora.views import ClusterView


@register("preloading", "hybrid-histogram")
@dataclass
class HybridHistogram(IdleTimes):
    """A function whose window opens and that has no instance gets one, in a new container, where memory is free.

    The keep-alive policy of the same name has let go of it before, and ends it when the window closes; rule and source
    are those of :class:`IdleTimes`. Assumption: the GPU with the most free memory, and nothing is evicted for it.
    """

    causes: frozenset[CauseKind] = field(default=frozenset({CauseKind.ARRIVED, CauseKind.WOKEN}), init=False)
    _estimates: Estimates = field(init=False, repr=False, compare=False)
    _due: list[tuple[float, int]] = field(init=False, repr=False, compare=False, default_factory=list)
    _functions: dict[int, Function] = field(init=False, repr=False, compare=False, default_factory=dict)

    def bind(self, context: PolicyContext) -> None:
        self._estimates = context.estimates
        self._functions = {function.index: function for function in context.functions}

    def plan(self, causes: Sequence[Cause], view: ClusterView) -> Plan:
        for cause in causes:
            window = self.window(cause.function) if cause.function is not None else None
            if cause.function is not None and window is not None and window.load_s > view.now_s:
                heapq.heappush(self._due, (window.load_s, cause.function.index))
        opened: dict[int, Function] = {}
        while self._due and self._due[0][0] <= view.now_s:
            due_s, index = heapq.heappop(self._due)
            window = self.window(self._functions[index])
            if window is not None and window.load_s == due_s:
                opened[index] = self._functions[index]
        return Plan(self._starts(opened, view), self._due[0][0] if self._due else None)

    def _starts(self, opened: dict[int, Function], view: ClusterView) -> list[Start]:
        starts: list[Start] = []
        if not opened:
            return starts
        free = Free(view)
        for index in sorted(opened):
            function = opened[index]
            place = free.most(function)
            if view.instances_of(function) or place is None:
                continue
            if free.take(place, self._estimates.start_bytes(function, {}, place.gpu)):
                deepest = self._estimates.preloadable[-1]
                starts.append(Start(function, function.backbone, Placement.at(place), deepest, why="its window opens"))
        return starts
