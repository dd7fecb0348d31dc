"""Batches of a fixed size, first come, first served."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import islice

from simlora.actions import Dispatch, Wait
from simlora.entities import Function
from simlora.policies.base import PolicyContext
from simlora.policies.batching.admission import WAIT, OfOne, admit_to_empty
from simlora.policies.estimates import Estimates
from simlora.policies.registry import register
from simlora.views import ClusterView, InstanceView, ReadyQueues


@register("batching", "fixed")
@dataclass
class Fixed:
    """Up to ``size`` requests of one function, once so many wait or the oldest has waited ``delay_s``.

    Of several functions that are due, the one whose oldest request came first. It takes the place of adaptive batching
    in the ablation of ServerlessLoRA without it, whose setting the paper does not state (assumption).
    """

    size: int = 1
    delay_s: float = 0.0
    _estimates: Estimates = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"size must be at least 1 (found {self.size})")
        if not 0 <= self.delay_s < math.inf:
            raise ValueError(f"delay_s must be a finite number, 0 or more (found {self.delay_s})")

    def bind(self, context: PolicyContext) -> None:
        self._estimates = context.estimates

    def next_batch(self, at: InstanceView | None, ready: ReadyQueues, view: ClusterView) -> Dispatch | Wait:
        if at is not None:
            return admit_to_empty(at, ready, self.size, self._estimates.request_bytes)
        now_s, queues = view.now_s, ready.by_function
        wake_s = math.inf
        first: Function | None = None
        for function, queue in queues.items():
            oldest = queue[0]
            expires_s = oldest.arrived_s + self.delay_s
            if now_s >= expires_s or len(queue) >= self.size:
                if first is None or oldest.index < queues[first][0].index:
                    first = function
            elif expires_s < wake_s:
                wake_s = expires_s
        if first is not None:
            return Dispatch(list(islice(queues[first], self.size)))
        return Wait(wake_s) if wake_s < math.inf else WAIT


@register("batching", "fifo")
@dataclass
class Fifo(Fixed):
    """At once, up to ``size`` requests of the function whose oldest request came first.

    Source: the request-level service of ServerlessLLM (first come, first served per model, at most the router's target
    per instance) and of InstaInfer (one request per function at a time).
    """

    delay_s: float = field(default=0.0, init=False)


@register("batching", "one-adapter")
@dataclass
class OneAdapter(Fifo):
    """In a process of many functions: at once, up to ``size`` requests of the function whose oldest came first.

    Source: PEFT as the evaluations of S-LoRA and dLoRA ran it, which has one active adapter; its batch is not stated.
    """

    size: int = 16

    def next_batch(self, at: InstanceView | None, ready: ReadyQueues, view: ClusterView) -> Dispatch | Wait:
        if at is not None and len(ready):
            function = min(ready.by_function.items(), key=lambda item: item[1][0].index)[0]
            ready = OfOne(function, ready.by_function[function])
        return super().next_batch(at, ready, view)
