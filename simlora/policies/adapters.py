"""Adapters: which of those that nobody uses leave the device memory of an engine that serves many functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from simlora.actions import AdapterDemand
from simlora.entities import Function
from simlora.policies.base import Forecast, PolicyContext
from simlora.policies.registry import register
from simlora.views import ClusterView


def until_enough(order: Iterable[Function], demand: AdapterDemand) -> list[Function]:
    """The first of ``order`` that together free what is needed."""
    leaving: list[Function] = []
    left_bytes = demand.need_bytes
    for function in order:
        if left_bytes <= 0:
            break
        leaving.append(function)
        left_bytes -= demand.idle[function]
    return leaving


@register("adapters", "lru")
@dataclass
class LeastRecentlyUsed:
    """Those used least recently, as few as are needed. Source: vLLM's adapter slots."""

    when_unused: bool = field(default=False, init=False)

    def leaving(self, demand: AdapterDemand, view: ClusterView) -> Sequence[Function]:
        return until_enough(demand.idle, demand)


@register("adapters", "drop-unused")
@dataclass
class DropUnused:
    """Every adapter that no running request uses, as soon as requests finish: no cache.

    Source: S-LoRA's router (c1ddf48), which keeps the adapters of the running batch and no others.
    """

    when_unused: bool = field(default=True, init=False)

    def leaving(self, demand: AdapterDemand, view: ClusterView) -> Sequence[Function]:
        return list(demand.idle)


@register("adapters", "chameleon-score")
@dataclass
class ChameleonScore:
    """The least by 0.45 frequency + 0.10 recency + 0.45 size, those for which no request waits before the others.

    Each of the three is a share of the largest among the candidates: calls per second by the forecast, place in the
    order of last use, bytes. Source: Chameleon (MICRO'25): weights, and that adapters of queued requests leave only if
    that is unavoidable. Assumption: how the three are scaled.
    """

    frequency: float = 0.45
    recency: float = 0.10
    size: float = 0.45
    when_unused: bool = field(default=False, init=False)
    _forecast: Forecast = field(init=False, repr=False, compare=False)

    def bind(self, context: PolicyContext) -> None:
        self._forecast = context.forecast

    def leaving(self, demand: AdapterDemand, view: ClusterView) -> Sequence[Function]:
        idle, waiting = demand.idle, demand.at.queue.by_function
        rates = {function: self._forecast.rate_per_s(function, view.now_s) for function in idle}
        fastest, largest = max(rates.values()) or 1.0, max(idle.values())
        scores = {
            function: self.frequency * rates[function] / fastest
            + self.recency * place / len(idle)
            + self.size * idle[function] / largest
            for place, function in enumerate(idle)
        }
        order = sorted(idle, key=lambda f: (f in waiting or view.waiting(f) > 0, scores[f], f.index))
        return until_enough(order, demand)
