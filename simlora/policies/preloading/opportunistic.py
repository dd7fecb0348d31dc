"""InstaInfer's pre-loading: load shortly after a call, off-load when the next one has probably come."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from simlora.actions import Placement, Plan, PlanAction, Start, Stop
from simlora.entities import Function
from simlora.events import Cause, CauseKind
from simlora.policies.base import Forecast, PolicyContext
from simlora.policies.estimates import Estimates
from simlora.policies.preloading.room import IN_CONTAINER, Room
from simlora.policies.registry import register
from simlora.views import ClusterView, ContainerView, InstanceState

NOTHING_TO_DO = Plan()


@dataclass(slots=True)
class _Window:
    """After a function's last call: when to load it, when to let go, and the rate that said so.

    Times in the heap that are not those of the function's present window are stale.
    """

    function: Function
    called_s: float
    load_s: float
    off_s: float
    rate_per_s: float


@register("preloading", "opportunistic")
@dataclass
class Opportunistic:
    """Pre-load a function from T_load to T_off after its last call, into containers that are idle already.

    T = -ln(1 - P) / lambda with ``p_load`` and ``p_off``: arrivals are taken as Poisson. Of the functions whose window
    is open and that have no free instance, those with the highest (arrival probability x start-up seconds) / bytes come
    first. A container gets the stages that fit it and its GPU. At T_off a pre-loaded instance that never ran is ended;
    one that still loads is looked at again ``off_retry_s`` later.

    Source: InstaInfer (SoCC'24): 6 % and 94 %, value and weight of the knapsack; the greedy order is Tyche's (its
    journal version). Assumptions: the arrival probability is that by now, 1 - exp(-lambda t) at t since the last call;
    host and device are one pass; of the idle containers the one with the fewest processes on the GPU with the most free
    memory takes the function; ``off_retry_s``.
    """

    p_load: float = 0.06
    p_off: float = 0.94
    off_retry_s: float = 1.0
    causes: frozenset[CauseKind] = field(
        default=frozenset(
            {
                CauseKind.ARRIVED,
                CauseKind.BECAME_IDLE,
                CauseKind.MEMORY_FREED,
                CauseKind.LOAD_FINISHED,
                CauseKind.WOKEN,
            }
        ),
        init=False,
    )
    _estimates: Estimates = field(init=False, repr=False, compare=False)
    _forecast: Forecast = field(init=False, repr=False, compare=False)
    _windows: dict[int, _Window] = field(init=False, repr=False, compare=False, default_factory=dict)
    _due: list[tuple[float, int]] = field(init=False, repr=False, compare=False, default_factory=list)
    _open: dict[int, _Window] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 < self.p_load < self.p_off < 1:
            raise ValueError(f"0 < p_load < p_off < 1 must hold (found {self.p_load} and {self.p_off})")
        if not self.off_retry_s > 0:
            raise ValueError(f"off_retry_s must be more than 0 (found {self.off_retry_s})")

    def bind(self, context: PolicyContext) -> None:
        self._estimates = context.estimates
        self._forecast = context.forecast

    def plan(self, causes: Sequence[Cause], view: ClusterView) -> Plan:
        now_s = view.now_s
        for cause in causes:
            if cause.kind is CauseKind.ARRIVED and cause.function is not None:
                self._called(cause.function, now_s)
        actions: list[PlanAction] = []
        while self._due and self._due[0][0] <= now_s:
            due_s, index = heapq.heappop(self._due)
            window = self._windows.get(index)
            if window is not None and due_s == window.off_s:
                self._open.pop(index, None)
                actions += self._let_go(self._windows.pop(index), view)
            elif window is not None and due_s == window.load_s:
                self._open[index] = window
        if self._open and view.idle_containers:
            actions += self._fill(view)
        return Plan(actions, self._due[0][0] if self._due else None)

    def _called(self, function: Function, now_s: float) -> None:
        self._open.pop(function.index, None)
        rate_per_s = self._forecast.rate_per_s(function, now_s)
        if rate_per_s <= 0:
            return
        load_s = now_s - math.log1p(-self.p_load) / rate_per_s
        off_s = now_s - math.log1p(-self.p_off) / rate_per_s
        self._windows[function.index] = _Window(function, now_s, load_s, off_s, rate_per_s)
        heapq.heappush(self._due, (load_s, function.index))
        heapq.heappush(self._due, (off_s, function.index))

    def _let_go(self, window: _Window, view: ClusterView) -> list[Stop]:
        """End what was pre-loaded and never used; what is still loading is looked at again a little later."""
        unused = [i for i in view.instances_of(window.function).values() if not (i.has_run or i.bound)]
        if any(i.state is InstanceState.STARTING for i in unused):
            window.off_s = view.now_s + self.off_retry_s
            self._windows[window.function.index] = window
            heapq.heappush(self._due, (window.off_s, window.function.index))
        return [Stop(i, "past T_off") for i in unused if i.state is InstanceState.IDLE]

    def _fill(self, view: ClusterView) -> list[Start]:
        lacking = [window for window in self._open.values() if not self._has_free_instance(window.function, view)]
        if not lacking:
            return []
        room = Room(self._estimates)
        starts: list[Start] = []
        for window in sorted(lacking, key=lambda w: (-self._density(w, view.now_s), w.function.index)):
            function = window.function
            container = self._container(function, view, room)
            if container is None:
                continue
            upto = ""
            for stage in self._estimates.preloadable:
                if stage not in IN_CONTAINER:
                    if not room.take(function, stage, container):
                        break
                    upto = stage
            if upto:
                room.add_process(container)
                placement = Placement.at(container, container)
                starts.append(Start(function, function.backbone, placement, upto, why="past T_load"))
        return starts

    @staticmethod
    def _has_free_instance(function: Function, view: ClusterView) -> bool:
        return any(not i.bound and i.state is not InstanceState.BUSY for i in view.instances_of(function).values())

    def _density(self, window: _Window, now_s: float) -> float:
        arrived = -math.expm1(-window.rate_per_s * (now_s - window.called_s))
        stages = self._estimates.preloadable
        weight_bytes = sum(
            self._estimates.stage_host_bytes(window.function, stage)
            + self._estimates.stage_device_bytes(window.function, stage)
            for stage in stages
        )
        return arrived * self._estimates.start_s(window.function, IN_CONTAINER) / max(weight_bytes, 1)

    @staticmethod
    def _container(function: Function, view: ClusterView, room: Room) -> ContainerView | None:
        idle = [c for c in view.idle_containers.values() if len(c.gpus) == function.backbone.tensor_parallel]
        return min(idle, key=lambda c: (room.processes(c), -c.gpu.free_bytes, c.id), default=None)
