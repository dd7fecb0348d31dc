"""Pre-loading that knows the next call."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from simlora.actions import Placement, Plan, Start
from simlora.entities import Function
from simlora.events import Cause, CauseKind
from simlora.policies.base import PolicyContext
from simlora.policies.estimates import Estimates
from simlora.policies.foresight import Future
from simlora.policies.preloading.room import Free
from simlora.policies.registry import register
from simlora.views import ClusterView, InstanceState, PlaceView


@register("preloading", "clairvoyant-just-in-time")
@dataclass
class JustInTime:
    """A function without a free instance gets one so early that it is up ``margin_s`` before the next call.

    In a new container on the GPU where it adds the fewest bytes; where it fits nowhere the call starts it. A reference,
    no bound: what it loads may hold up other loads, and it prepares for one call at a time.
    """

    margin_s: float = 0.5
    causes: frozenset[CauseKind] = field(
        default=frozenset({CauseKind.STARTED, CauseKind.ARRIVED, CauseKind.WOKEN}), init=False
    )
    _future: Future = field(init=False, repr=False, compare=False)
    _estimates: Estimates = field(init=False, repr=False, compare=False)
    _due: list[tuple[float, int]] = field(init=False, repr=False, compare=False, default_factory=list)
    _functions: dict[int, Function] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 <= self.margin_s < math.inf:
            raise ValueError(f"margin_s must be a finite number, 0 or more (found {self.margin_s})")

    def foresee(self, future: Future) -> None:
        self._future = future

    def bind(self, context: PolicyContext) -> None:
        self._estimates = context.estimates
        self._functions = {function.index: function for function in context.functions}

    def plan(self, causes: Sequence[Cause], view: ClusterView) -> Plan:
        for cause in causes:
            if cause.kind is CauseKind.STARTED:
                for function in self._functions.values():
                    self._look_out(function, view.now_s)
            elif cause.function is not None:
                self._look_out(cause.function, view.now_s)
        due: dict[int, Function] = {}
        while self._due and self._due[0][0] <= view.now_s:
            _, index = heapq.heappop(self._due)
            due[index] = self._functions[index]
        return Plan(self._starts(due, view), self._due[0][0] if self._due else None)

    def _look_out(self, function: Function, now_s: float) -> None:
        """When to begin with the function's next call in mind."""
        call_s = self._future.next_s(function, now_s)
        if call_s < math.inf:
            begin_s = call_s - self._estimates.start_s(function, {}) - self.margin_s
            heapq.heappush(self._due, (begin_s, function.index))

    def _starts(self, due: dict[int, Function], view: ClusterView) -> list[Start]:
        starts: list[Start] = []
        if not due:
            return starts
        free = Free(view)
        for index in sorted(due):
            function = due[index]
            if self._has_free_instance(function, view):
                continue
            places = view.places(function.backbone.tensor_parallel)
            place = min(places, key=lambda place: self._cost(function, place, free), default=None)
            if place is not None and free.take(place, self._estimates.start_bytes(function, {}, place.gpu)):
                deepest, why = self._estimates.preloadable[-1], "its next call is near"
                starts.append(Start(function, function.backbone, Placement.at(place), deepest, why=why))
        return starts

    def _cost(self, function: Function, place: PlaceView, free: Free) -> tuple[bool, int, int, int]:
        need_bytes, free_bytes = self._estimates.start_bytes(function, {}, place.gpu), free.at(place)
        return need_bytes > free_bytes, need_bytes, -free_bytes, place.gpu.index

    @staticmethod
    def _has_free_instance(function: Function, view: ClusterView) -> bool:
        return any(not i.bound and i.state is not InstanceState.BUSY for i in view.instances_of(function).values())
