"""ServerlessLoRA's dynamic offloading: the stages and backbones worth least per byte leave first."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from simlora.actions import Demand, Evict, EvictBackbone, Eviction
from simlora.entities import ArtifactKind, Backbone, Function, Tier
from simlora.policies.base import Forecast, PolicyContext
from simlora.policies.estimates import Estimates
from simlora.policies.offloading.whole import idle_on
from simlora.policies.registry import register
from simlora.views import BackboneView, ClusterView, GpuView, InstanceView


class _Cut(NamedTuple):
    """Taking an instance back to before ``stage``: what it frees, and the value that is lost per byte."""

    density: float
    stage: str
    bytes: int


@register("offloading", "value-density")
@dataclass
class ValueDensity:
    """Idle stages and unmapped backbones in ascending value density (arrival rate x seconds / bytes) until enough.

    Taking a stage back takes those after it along, so an instance offers the suffix of its stages with the least
    density; once taken, the rest is offered anew. An adapter among them goes to host memory if its container has room;
    contexts and kernels are dropped. A backbone that its last idle mapper gives up is offered too. If all of it is too
    little, nothing leaves.

    Source: ServerlessLoRA's dynamic offloader (least lost pre-load value, greedy by the density of pre-loading, closed
    under precedence). Whether the paper evicts backbones is unclear; here a mapped one stays (assumption).
    """

    _estimates: Estimates = field(init=False, repr=False, compare=False)
    _forecast: Forecast = field(init=False, repr=False, compare=False)
    _siblings: dict[Backbone, list[Function]] = field(init=False, repr=False, compare=False, default_factory=dict)

    def bind(self, context: PolicyContext) -> None:
        self._estimates = context.estimates
        self._forecast = context.forecast
        for function in context.functions:
            self._siblings.setdefault(function.backbone, []).append(function)

    def victims(self, demand: Demand, view: ClusterView) -> Sequence[Eviction]:
        gpu = demand.gpu
        idle = [instance for instance in idle_on(demand) if instance.function is not None]
        if _most_bytes(gpu, idle) < demand.need_bytes:
            return ()
        mappers = {backbone: process.mapped_by for backbone, process in gpu.backbones.items()}
        left = {instance.id: (instance, self._stages(instance)) for instance in idle}
        heap: list[tuple[float, int, str]] = []
        cuts: dict[int, _Cut] = {}
        for instance_id in left:
            self._offer(heap, cuts, left, instance_id, view.now_s)
        processes = {process.backbone.name: process for process in gpu.backbones.values() if process.loaded}
        for name in sorted(processes):
            if not mappers[processes[name].backbone]:
                heapq.heappush(heap, (self._backbone_density(processes[name], view.now_s), -1, name))
        taken_back: dict[int, str] = {}
        backbones: list[EvictBackbone] = []
        freed_bytes = 0
        while heap and freed_bytes < demand.need_bytes:
            _, instance_id, name = heapq.heappop(heap)
            if instance_id < 0:
                freed_bytes += processes[name].bytes
                backbones.append(EvictBackbone(gpu, processes[name].backbone, "least value density"))
                continue
            cut, (instance, stages) = cuts[instance_id], left[instance_id]
            freed_bytes += cut.bytes
            taken_back[instance_id] = cut.stage
            taken = stages[: stages.index(cut.stage) + 1]
            del stages[: len(taken)]
            self._offer(heap, cuts, left, instance_id, view.now_s)
            process = processes.get(instance.backbone.name)
            if process is not None and ArtifactKind.BACKBONE in taken:
                mappers[process.backbone] -= 1
                if not mappers[process.backbone]:
                    density = self._backbone_density(process, view.now_s)
                    heapq.heappush(heap, (density, -1, process.backbone.name))
        if freed_bytes < demand.need_bytes:
            return ()
        spilled: dict[int, int] = {}
        evicted = [self._evict(left[instance_id][0], stage, spilled) for instance_id, stage in taken_back.items()]
        return [*evicted, *backbones]

    def _stages(self, instance: InstanceView) -> list[str]:
        """The stages behind an instance, the deepest first."""
        return [stage for stage in reversed(self._estimates.stages) if stage in instance.done]

    def _offer(
        self,
        heap: list[tuple[float, int, str]],
        cuts: dict[int, _Cut],
        left: dict[int, tuple[InstanceView, list[str]]],
        instance_id: int,
        now_s: float,
    ) -> None:
        instance, stages = left[instance_id]
        function = instance.function
        if function is None:
            return
        rate_per_s = self._forecast.rate_per_s(function, now_s)
        best: _Cut | None = None
        value, freed_bytes = 0.0, 0
        for stage in stages:
            value += rate_per_s * self._estimates.stage_s(function, stage, instance.gpu)
            freed_bytes += instance.done[stage]
            if instance.done[stage] and (best is None or value / freed_bytes < best.density):
                best = _Cut(value / freed_bytes, stage, freed_bytes)
        if best is not None:
            cuts[instance_id] = best
            heapq.heappush(heap, (best.density, instance_id, best.stage))

    def _backbone_density(self, process: BackboneView, now_s: float) -> float:
        users = self._siblings[process.backbone]
        load_s = self._estimates.stage_s(users[0], ArtifactKind.BACKBONE)
        return sum(self._forecast.rate_per_s(user, now_s) for user in users) * load_s / process.bytes

    def _evict(self, instance: InstanceView, stage: str, spilled: dict[int, int]) -> Evict:
        """Its adapter goes to host memory if the container has room beside what was ``spilled`` there already."""
        stages, container = self._estimates.stages, instance.container
        function = instance.function
        dragged = [later for later in stages[stages.index(stage) :] if later in instance.done]
        if function is None or ArtifactKind.ADAPTER not in dragged:
            return Evict(instance, stage, None, "least value density")
        size_bytes = spilled.get(container.id, 0) + function.adapter.bytes
        spills = size_bytes <= container.free_bytes
        if spills:
            spilled[container.id] = size_bytes
        return Evict(instance, stage, Tier.HOST if spills else None, "least value density")


def _most_bytes(gpu: GpuView, idle: Sequence[InstanceView]) -> int:
    """What would be free if all of these left, and the backbones that nobody else maps."""
    mappers: dict[Backbone, int] = {}
    most_bytes = 0
    for instance in idle:
        most_bytes += sum(instance.done.values())
        if ArtifactKind.BACKBONE in instance.done:
            mappers[instance.backbone] = mappers.get(instance.backbone, 0) + 1
    for backbone, process in gpu.backbones.items():
        if process.loaded and process.mapped_by <= mappers.get(backbone, 0):
            most_bytes += process.bytes
    return most_bytes
