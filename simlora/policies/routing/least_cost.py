"""Routing of dLoRA: to the replica on which the work that is pending costs least, the load of the adapter included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from simlora.actions import Binding, Route, ToInstance
from simlora.entities import Function, QueuedRequest
from simlora.policies.registry import register
from simlora.policies.routing.by_load import NEW
from simlora.views import ClusterView, InstanceView


@register("routing", "least-cost")
@dataclass
class LeastCost:
    """At arrival, the replica with the least pending cost; ties go to the fewest requests, then the one started first.

    Of c(a) requests of adapter a, floor(c / batch) batches run merged at ``merged_share`` of an unmerged one's cost,
    and what is left of all adapters runs unmerged: sum floor(c(a) / batch) 0.6 + floor(sum (c(a) mod batch) / batch).
    Where the adapter is not on the device, size / ``load_bytes_per_s`` seconds come on top.

    Source: dLoRA (OSDI'24), github.com/LLMServe/dLoRA-artifact, its dispatcher (0.6 of the unmerged cost; 32 GB/s).
    Assumptions: ``batch``, the largest one there, is not recovered; every replica may load every adapter of its
    backbone.
    """

    batch: int = 32
    merged_share: float = 0.6
    load_bytes_per_s: float = 32e9
    binding: Binding = field(default=Binding.ON_ARRIVAL, init=False)

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise ValueError(f"batch must be at least 1 (found {self.batch})")
        for name in ("merged_share", "load_bytes_per_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be more than 0 (found {getattr(self, name)})")

    def route(self, work: Sequence[QueuedRequest], function: Function, view: ClusterView) -> Route:
        best: InstanceView | None = None
        best_key = (False, 0.0, 0, 0)
        for instance in view.instances_of(function).values():
            load_s = 0.0 if function in instance.adapters else function.adapter.bytes / self.load_bytes_per_s
            held = instance.bound + len(instance.running)
            key = (not instance.ready, self._pending(instance) + load_s, held, instance.id)
            if best is None or key < best_key:
                best, best_key = instance, key
        return ToInstance(best, "least pending cost") if best is not None else NEW

    def _pending(self, instance: InstanceView) -> float:
        counts = {function: len(queue) for function, queue in instance.queue.by_function.items()}
        for running in instance.running.values():
            counts[running.request.function] = counts.get(running.request.function, 0) + 1
        merged = sum(count // self.batch for count in counts.values())
        left = sum(count % self.batch for count in counts.values())
        return merged * self.merged_share + left // self.batch
