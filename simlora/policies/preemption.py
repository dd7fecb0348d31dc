"""Preemption: whose KV leaves when decoding outgrows memory."""

from __future__ import annotations

from dataclasses import dataclass

from simlora.actions import Preempt
from simlora.policies.registry import register
from simlora.views import ClusterView, InstanceView


@register("preemption", "newest")
@dataclass
class Newest:
    """The request admitted last leaves and prefills again later: there, or ``anew`` wherever it is routed to.

    Source: vLLM's preemption by recomputation; Punica, which schedules it like a new request.
    """

    anew: bool = False

    def preempt(self, at: InstanceView, view: ClusterView) -> Preempt:
        *_, newest = at.running.values()
        return Preempt((newest.request,), anew=self.anew, why="admitted last")
