"""Two-level adaptive batching of ServerlessLoRA: fill or expire within a function, deadline margin across functions."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, get_args

from simlora.actions import Dispatch, Wait
from simlora.entities import Function, QueuedRequest
from simlora.policies.base import PolicyContext
from simlora.policies.batching.admission import WAIT, admit_to_empty
from simlora.policies.estimates import Estimates
from simlora.policies.registry import register
from simlora.views import ClusterView, InstanceView, PlaceView, ReadyQueues

DelayRule = Literal["literal", "slack", "clamped"]
UNBOUNDED = 1 << 62


class _Rule(NamedTuple):
    """What is fixed per function: its line T(b) = t0_s + alpha_s (b - 1), largest batch, delay and memory."""

    t0_s: float
    alpha_s: float
    slo_s: float
    size: int
    literal_delay_s: float
    room_bytes: int


@register("batching", "fill-or-expire")
@dataclass
class FillOrExpire:
    """Dispatch a function's queue when it is full or its oldest request has waited long enough.

    Full is N = floor((SLO - T0) / alpha) + 1 requests, the largest batch whose first token meets the SLO, or as many as
    an otherwise empty GPU has KV memory for, or ``max_batch``. Of several functions that are due, the one with the
    smallest deadline margin SLO - (w + M T(b)) goes first: w is the wait of its oldest request, M the batches that
    would then run on the least loaded GPU that holds one of its instances.

    Source: ServerlessLoRA (arXiv 2505.14468), two-level batching; N, d and the margin as SwarmLoRA's public
    re-implementation writes them. The paper leaves the delay d open; ``delay_rule`` chooses:

    * ``literal``: d = SLO - T(N) with N of the formula, which is less than alpha, so a lone request hardly waits;
    * ``slack``: d = SLO - T(b), what is left after the predicted execution of the present queue;
    * ``clamped``: the same, kept within ``clamp_low_s`` and ``clamp_high_s`` (SwarmLoRA's bounds, not the paper's).
    """

    delay_rule: DelayRule = "literal"
    max_batch: int | None = None
    clamp_low_s: float = 0.05
    clamp_high_s: float = 0.25
    _estimates: Estimates = field(init=False, repr=False, compare=False)
    _measured: tuple[Sequence[PlaceView], int] = field(init=False, repr=False, compare=False, default=((), 0))
    _rules: dict[Function, _Rule] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        if self.delay_rule not in get_args(DelayRule):
            raise ValueError(f"delay_rule must be one of {', '.join(get_args(DelayRule))} (found {self.delay_rule!r})")
        if self.max_batch is not None and self.max_batch < 1:
            raise ValueError(f"max_batch must be at least 1 (found {self.max_batch})")
        if not 0 <= self.clamp_low_s <= self.clamp_high_s:
            found = f"found {self.clamp_low_s} and {self.clamp_high_s}"
            raise ValueError(f"0 <= clamp_low_s <= clamp_high_s must hold ({found})")

    def bind(self, context: PolicyContext) -> None:
        self._estimates = context.estimates

    def next_batch(self, at: InstanceView | None, ready: ReadyQueues, view: ClusterView) -> Dispatch | Wait:
        if at is not None:
            size = self._rule(at.function, view).size if at.function else self.max_batch or UNBOUNDED
            return admit_to_empty(at, ready, size, self._estimates.request_bytes)
        now_s, queues = view.now_s, ready.by_function
        wake_s = math.inf
        due: list[Function] = []
        for function, queue in queues.items():
            rule = self._rules.get(function) or self._rule(function, view)
            waiting = len(queue)
            expires_s = queue[0].arrived_s + self._delay_s(rule, waiting)
            if now_s >= expires_s or self._is_full(rule, queue):
                due.append(function)
            elif expires_s < wake_s:
                wake_s = expires_s
        if not due:
            return Wait(wake_s) if wake_s < math.inf else WAIT
        first = due[0] if len(due) == 1 else min(due, key=lambda f: (self._margin_s(f, queues[f], view), f.index))
        return Dispatch(self._batch(self._rule(first, view), queues[first]))

    def _delay_s(self, rule: _Rule, waiting: int) -> float:
        if self.delay_rule == "literal":
            return rule.literal_delay_s
        slack_s = rule.slo_s - rule.t0_s - rule.alpha_s * (min(waiting, rule.size) - 1)
        if self.delay_rule == "slack":
            return max(slack_s, 0.0)
        return min(max(slack_s, self.clamp_low_s), self.clamp_high_s)

    def _is_full(self, rule: _Rule, queue: deque[QueuedRequest]) -> bool:
        """As many as may run together wait, or one more as large as the oldest would not fit."""
        waiting = len(queue)
        return waiting >= rule.size or (waiting + 1) * self._estimates.request_bytes(queue[0]) > rule.room_bytes

    def _batch(self, rule: _Rule, queue: deque[QueuedRequest]) -> list[QueuedRequest]:
        batch = [queue[0]]
        if len(queue) == 1 or rule.size == 1:
            return batch
        request_bytes = self._estimates.request_bytes
        room_bytes = rule.room_bytes - request_bytes(queue[0])
        waiting = iter(queue)
        next(waiting)
        for request in waiting:
            room_bytes -= request_bytes(request)
            if room_bytes < 0:
                break
            batch.append(request)
            if len(batch) == rule.size:
                break
        return batch

    def _margin_s(self, function: Function, queue: deque[QueuedRequest], view: ClusterView) -> float:
        rule = self._rule(function, view)
        instances = view.instances_of(function).values()
        batches = 1 + min((instance.gpu.active_batches for instance in instances), default=0)
        ttft_s = rule.t0_s + rule.alpha_s * (min(len(queue), rule.size) - 1)
        return rule.slo_s - (view.now_s - queue[0].arrived_s + batches * ttft_s)

    def _rule(self, function: Function, view: ClusterView) -> _Rule:
        if function in self._rules:
            return self._rules[function]
        t0_s, alpha_s = self._estimates.ttft_line(function)
        slo_s = function.slo_ttft_s
        by_slo = max(1, math.floor((slo_s - t0_s) / alpha_s) + 1) if alpha_s > 0 else UNBOUNDED
        fixed_bytes = sum(self._estimates.stage_device_bytes(function, stage) for stage in self._estimates.stages)
        capacity_bytes = self._largest_bytes(view.places(function.backbone.tensor_parallel))
        rule = _Rule(
            t0_s=t0_s,
            alpha_s=alpha_s,
            slo_s=slo_s,
            size=min(by_slo, self.max_batch or by_slo),
            literal_delay_s=max(0.0, slo_s - t0_s - alpha_s * (by_slo - 1)),
            room_bytes=capacity_bytes - fixed_bytes,
        )
        if capacity_bytes:  # else all that could hold it are lost
            self._rules[function] = rule
        return rule

    def _largest_bytes(self, places: Sequence[PlaceView]) -> int:
        """Of a GPU of these places, which are the same for many functions; 0 if there are none."""
        if places is not self._measured[0]:
            self._measured = places, max((place.gpu.capacity_bytes for place in places), default=0)
        return self._measured[1]
