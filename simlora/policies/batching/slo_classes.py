"""Torpor's queue: functions that can still reach their SLO before those that are far behind."""

from __future__ import annotations

from dataclasses import dataclass, field

from simlora.actions import Dispatch, Wait
from simlora.entities import Function, QueuedRequest
from simlora.policies.base import PolicyContext
from simlora.policies.batching.admission import WAIT, admit_to_empty
from simlora.policies.estimates import Estimates
from simlora.policies.registry import register
from simlora.views import ClusterView, InstanceView, ReadyQueues


@register("batching", "slo-classes")
@dataclass
class SloClasses:
    """One request at a time, in order of arrival within two classes by the requests a function needs for its SLO.

    With n requests served, m of them within the SLO on the first token, (p n - m) / (1 - p) more in a row would bring
    the share to p, the ``percentile``. Functions that need up to ``threshold`` come first. Source: Torpor (ATC'25),
    required request count, a class of high and one of low priority. Assumptions: p, the threshold, and that those far
    behind are the ones who wait; a function without a request served needs none.
    """

    percentile: float = 0.95
    threshold: float = 100.0
    _estimates: Estimates = field(init=False, repr=False, compare=False)
    _served: dict[Function, int] = field(init=False, repr=False, compare=False, default_factory=dict)
    _in_time: dict[Function, int] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 < self.percentile < 1:
            raise ValueError(f"percentile must be between 0 and 1 (found {self.percentile})")

    def bind(self, context: PolicyContext) -> None:
        self._estimates = context.estimates

    def observe_served(self, request: QueuedRequest, first_token_s: float) -> None:
        function = request.function
        in_time = first_token_s - request.arrived_s <= function.slo_ttft_s
        self._served[function] = self._served.get(function, 0) + 1
        self._in_time[function] = self._in_time.get(function, 0) + in_time

    def required(self, function: Function) -> float:
        """Requests in a row within the SLO that the function needs to reach the percentile; less than 0 if ahead."""
        missing = self.percentile * self._served.get(function, 0) - self._in_time.get(function, 0)
        return missing / (1 - self.percentile)

    def next_batch(self, at: InstanceView | None, ready: ReadyQueues, view: ClusterView) -> Dispatch | Wait:
        if at is not None:
            return admit_to_empty(at, ready, 1, self._estimates.request_bytes)
        heads = (queue[0] for queue in ready.by_function.values())
        first = min(heads, key=lambda head: (self.required(head.function) > self.threshold, head.index), default=None)
        return Dispatch([first]) if first is not None else WAIT
