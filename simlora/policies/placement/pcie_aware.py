"""Torpor's placement: a free GPU whose PCIe switch is quiet."""

from __future__ import annotations

from dataclasses import dataclass

from simlora.actions import Placement
from simlora.entities import Function
from simlora.policies.placement.by_room import Placing, in_use, reclaimable_bytes
from simlora.policies.registry import register
from simlora.policies.swapping import is_light
from simlora.views import ClusterView, GpuView, InstanceState


@register("placement", "pcie-aware")
@dataclass
class PcieAware(Placing):
    """A GPU in no use: one whose neighbour behind the PCIe switch loads nothing, else a light model, else any.

    Among equals one with room before one on which something must give way, then the most free memory. Source: Torpor
    (ATC'25), interference-aware scheduling; without its copies from other GPUs over NVLink.
    """

    def place(self, function: Function, view: ClusterView) -> Placement | None:
        best: GpuView | None = None
        best_key = (0, False, 0, 0)
        for gpu in view.gpus:
            need_bytes = self._need_bytes(function, gpu)
            if in_use(gpu) or need_bytes > reclaimable_bytes(gpu, function.backbone):
                continue
            key = (self._noise(gpu), need_bytes > gpu.free_bytes, -gpu.free_bytes, gpu.index)
            if best is None or key < best_key:
                best, best_key = gpu, key
        return Placement(best) if best is not None else None

    def _noise(self, gpu: GpuView) -> int:
        """Of the loads behind its switch: 0 none, 1 light ones, 2 a heavy one."""
        loads = [
            instance.function is not None and is_light(self._estimates, instance.function, neighbour)
            for neighbour in gpu.neighbours
            for instance in neighbour.instances.values()
            if instance.state is InstanceState.STARTING
        ]
        return 0 if not loads else 1 if all(loads) else 2
