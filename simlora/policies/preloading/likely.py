"""Prefetching by forecast: adapters that will probably be called are loaded into engines before they are."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import expm1, inf

from simlora.actions import DropAdapter, LoadAdapter, Plan
from simlora.entities import Backbone, Function
from simlora.events import Cause, CauseKind
from simlora.policies.base import Forecast, PolicyContext
from simlora.policies.estimates import Estimates
from simlora.policies.registry import register
from simlora.views import ClusterView, InstanceView, pinned_adapters

AdapterAction = LoadAdapter | DropAdapter


@register("preloading", "prefetch-likely")
@dataclass
class PrefetchLikely:
    """Load the adapters whose chance of a call within ``horizon_s`` is at least ``threshold``, the likeliest first.

    Each engine of a backbone loads those that it lacks. Where there is too little room, unused adapters that are less
    likely leave, the one used least recently first; a share ``kept_free`` of the room is left to KV. Chances are those
    at the beginning of each ``horizon_s``; what then found no room is tried again when a call comes.

    Source: Predictive-LoRA (arXiv 2512.20210; accounts of it were at hand, neither its text nor code): adapters whose
    probability by an LSTM exceeds a threshold are copied from host memory. Assumptions: the threshold, a minute as
    horizon, what is kept free.
    """

    threshold: float = 0.5
    horizon_s: float = 60.0
    kept_free: float = 0.1
    causes: frozenset[CauseKind] = field(
        default=frozenset({CauseKind.STARTED, CauseKind.ARRIVED, CauseKind.WOKEN}), init=False
    )
    _estimates: Estimates = field(init=False, repr=False, compare=False)
    _forecast: Forecast = field(init=False, repr=False, compare=False)
    _until_s: float = field(init=False, repr=False, compare=False, default=-inf)
    _likely: dict[Backbone, dict[Function, None]] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise ValueError(f"threshold must be more than 0 and at most 1 (found {self.threshold})")
        if not 0 < self.horizon_s < inf:
            raise ValueError(f"horizon_s must be a finite number, more than 0 (found {self.horizon_s})")
        if not 0 <= self.kept_free < 1:
            raise ValueError(f"kept_free must be at least 0 and less than 1 (found {self.kept_free})")

    def bind(self, context: PolicyContext) -> None:
        self._estimates = context.estimates
        self._forecast = context.forecast

    def plan(self, causes: Sequence[Cause], view: ClusterView) -> Plan:
        if view.now_s >= self._until_s:
            self._look_ahead(view)
        actions: list[AdapterAction] = []
        for likely in self._likely.values():
            for at in view.instances_of(next(iter(likely))).values():
                if at.ready and at.function is None:
                    actions += self._prefetch(at, likely)
        return Plan(actions, wake_at_s=self._until_s)

    def _look_ahead(self, view: ClusterView) -> None:
        now_s, horizon_s = view.now_s, self.horizon_s
        next_s = (now_s // horizon_s + 1) * horizon_s
        self._until_s = next_s if next_s > now_s else next_s + horizon_s
        rates = {function: self._forecast.rate_per_s(function, now_s) for function in view.functions}
        chances = {function: -expm1(-rate_per_s * horizon_s) for function, rate_per_s in rates.items()}
        self._likely = {}
        for function in sorted(chances, key=lambda function: (-chances[function], function.index)):
            if chances[function] >= self.threshold:
                self._likely.setdefault(function.backbone, {})[function] = None

    def _prefetch(self, at: InstanceView, likely: dict[Function, None]) -> list[AdapterAction]:
        """Loads of what the engine lacks, each after the drops that make room for it."""
        absent = [function for function in likely if function not in at.adapters and function not in at.planned_loads]
        if not absent:
            return []
        size_of, pinned = self._estimates.pool_adapter_bytes, pinned_adapters(at)
        unused = [function for function in at.adapters if function not in pinned]
        leaving = deque(function for function in unused if function not in likely)
        leaving_bytes = sum(map(size_of, leaving))
        free_bytes = int(at.adapter_room_bytes * (1 - self.kept_free)) - sum(map(size_of, [*unused, *at.planned_loads]))
        slots = at.adapter_slots - len(at.adapters) - len(at.planned_loads)
        actions: list[AdapterAction] = []
        for function in absent:
            need_bytes = size_of(function)
            if need_bytes > free_bytes + leaving_bytes or slots + len(leaving) < 1:
                continue
            while need_bytes > free_bytes or slots < 1:
                gone = leaving.popleft()
                leaving_bytes -= size_of(gone)
                free_bytes, slots = free_bytes + size_of(gone), slots + 1
                actions.append(DropAdapter(at, gone, "less likely"))
            free_bytes, slots = free_bytes - need_bytes, slots - 1
            actions.append(LoadAdapter(at, function, "likely"))
        return actions
