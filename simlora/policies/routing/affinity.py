"""Routing by where the adapter is: the scorers of LoRA-aware gateways in front of engines that serve many functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from simlora.actions import Binding, Route, ToInstance
from simlora.entities import Function, QueuedRequest, Tier
from simlora.policies.registry import register
from simlora.policies.routing.by_load import NEW
from simlora.views import ClusterView, InstanceView


@dataclass
class _BestScore:
    """At arrival, the instance with the highest score; of equal ones the fewest requests, then the one started first.

    A gateway adds such a score to others by weight; here load breaks ties only (assumption).
    """

    binding: Binding = field(default=Binding.ON_ARRIVAL, init=False)

    def route(self, work: Sequence[QueuedRequest], function: Function, view: ClusterView) -> Route:
        best: InstanceView | None = None
        best_key = (0.0, 0, 0)
        for instance in view.instances_of(function).values():
            key = (-self._score(instance, function), instance.bound + len(instance.running), instance.id)
            if best is None or key < best_key:
                best, best_key = instance, key
        return ToInstance(best, f"score {-best_key[0]:.1f}") if best is not None else NEW

    def _score(self, instance: InstanceView, function: Function) -> float:
        raise NotImplementedError


@register("routing", "lora-affinity")
@dataclass
class LoraAffinity(_BestScore):
    """1.0 where the adapter is active, 0.8 where active and waiting ones leave a slot, 0.6 where it waits, else 0.

    ``sees`` says what the gateway takes for active. ``resident``: all adapters on the device, apart from those that
    wait, as the score was meant. ``in-flight``, as the metric it read had it: adapters of running and waiting requests
    alike, so that one without requests looks absent and 0.6 is never given.

    Source: the LoRA-affinity scorer of the Kubernetes gateway for inference (``lora_affinity.go``); the flaw:
    github.com/llm-d/llm-d issue 2605.
    """

    sees: Literal["resident", "in-flight"] = "resident"

    def __post_init__(self) -> None:
        if self.sees not in ("resident", "in-flight"):
            raise ValueError(f"sees must be resident or in-flight (found {self.sees!r})")

    def _score(self, instance: InstanceView, function: Function) -> float:
        waiting = dict.fromkeys(instance.queue.by_function)
        if self.sees == "in-flight":
            active = {r.request.function: None for r in instance.running.values()} | waiting
        else:
            active = {f: None for f in (*instance.adapters, function) if instance.adapter_tier(f) is Tier.DEVICE}
        if function in active:
            return 1.0
        if len(active | waiting) < instance.adapter_slots:
            return 0.8
        return 0.6 if function in waiting else 0.0


@register("routing", "residency-affinity")
@dataclass
class ResidencyAffinity(_BestScore):
    """By the nearest copy of the adapter: device 1.0, host 0.7; else a free slot 0.6, an idle adapter's 0.3, none 0.

    Source: the residency scorer proposed for llm-d's router (pull request 2792).
    """

    def _score(self, instance: InstanceView, function: Function) -> float:
        tier = instance.adapter_tier(function)
        if tier is not None:
            return 1.0 if tier is Tier.DEVICE else 0.7
        if len(instance.adapters) < instance.adapter_slots:
            return 0.6
        return 0.0 if all(instance.adapters.values()) else 0.3
