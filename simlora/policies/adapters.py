"""Adapters: which of those that nobody uses leave the device memory of an engine that serves many functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from simlora.actions import AdapterDemand
from simlora.entities import Function
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
