"""Routing by what one more request costs those an engine serves already, of which its rank is a part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf

from simlora.actions import Binding, ColdStart, Route, ToInstance
from simlora.entities import Function, QueuedRequest
from simlora.policies.base import PolicyContext
from simlora.policies.estimates import Estimates
from simlora.policies.registry import register
from simlora.views import ClusterView, InstanceView

NEW = ColdStart("no engine")


@register("routing", "rank-aware")
@dataclass
class RankAware:
    """At arrival, the engine with the least cost (running + queued) x (d_prefill / mean response + d_decode).

    d_prefill is the prefill of the newcomer, for which the others wait, d_decode what their decode steps become longer
    by: with one more sequence and adapter, and with its rank if that is the largest of the batch. The cost is infinite
    if a step would then take longer than the newcomer or one of them was promised (``slo_tpot_s``); where all are
    infinite the least loaded takes it. Ties go to the engine started first.

    Source: CaraServe (arXiv 2401.11240, later Toppings, ATC'25), of which notes were at hand: cost and decode model
    (batch x largest rank). Assumption: the mean response, which it measures, is ``mean_response_tokens``.
    """

    mean_response_tokens: float = 200.0
    binding: Binding = field(default=Binding.ON_ARRIVAL, init=False)
    _estimates: Estimates = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 0 < self.mean_response_tokens < inf:
            raise ValueError(f"mean_response_tokens must be more than 0 (found {self.mean_response_tokens})")

    def bind(self, context: PolicyContext) -> None:
        self._estimates = context.estimates

    def route(self, work: Sequence[QueuedRequest], function: Function, view: ClusterView) -> Route:
        best: InstanceView | None = None
        best_key = (True, inf, 0, 0)
        for instance in view.instances_of(function).values():
            held = instance.bound + len(instance.running)
            key = (not instance.ready, self._cost(work[0], instance), held, instance.id)
            if best is None or key < best_key:
                best, best_key = instance, key
        return ToInstance(best, "least cost by rank") if best is not None else NEW

    def _cost(self, request: QueuedRequest, at: InstanceView) -> float:
        there = [running.request for running in at.running.values()]
        there += at.queue.in_order()
        if not there:
            return 0.0
        function = request.function
        before_s, after_s = self._step_s(at, there), self._step_s(at, [*there, request])
        promised = [r.function.slo_tpot_s for r in (*there, request) if r.function.slo_tpot_s is not None]
        if after_s > min(promised, default=inf):
            return inf
        prefill_s = self._estimates.prefill_s(function, request.prompt_tokens, at.gpu)
        return len(there) * (prefill_s / self.mean_response_tokens + after_s - before_s)

    def _step_s(self, at: InstanceView, requests: Sequence[QueuedRequest]) -> float:
        """A decode step over all of them, their prompts in KV."""
        adapters = len(dict.fromkeys(request.function for request in requests))
        rank = max(request.function.rank for request in requests)
        context_tokens = sum(request.prompt_tokens for request in requests)
        return self._estimates.decode_s(at, len(requests), adapters, rank, context_tokens)
