"""Torpor's placement: a free GPU whose PCIe switch is quiet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from simlora.actions import Placement
from simlora.entities import Function
from simlora.policies.placement.by_room import Placing, in_use
from simlora.policies.registry import register
from simlora.policies.swapping import is_light
from simlora.views import ClusterView, GpuView, InstanceState, PlaceView


@register("placement", "pcie-aware")
@dataclass
class PcieAware(Placing):
    """A GPU in no use: one whose neighbour behind the PCIe switch loads nothing, else a light model, else any.

    Among equals one with room before one on which something must give way, then the most free memory. Source: Torpor
    (ATC'25), interference-aware scheduling; without its copies from other GPUs over NVLink.
    """

    def place(self, function: Function, places: Sequence[PlaceView], view: ClusterView) -> Placement | None:
        best: PlaceView | None = None
        best_key = (0, False, 0, 0)
        for place in places:
            need_bytes = self._need_bytes(function, place.gpu)
            if any(map(in_use, place.gpus)) or not self._could_fit(need_bytes, place, function.backbone):
                continue
            free_bytes = min(gpu.free_bytes for gpu in place.gpus)
            noise = max(map(self._noise, place.gpus))
            key = (noise, need_bytes > free_bytes, -free_bytes, place.gpu.index)
            if best is None or key < best_key:
                best, best_key = place, key
        return Placement.at(best) if best is not None else None

    def _noise(self, gpu: GpuView) -> int:
        """Of the loads behind its switch: 0 none, 1 light ones, 2 a heavy one."""
        loads = [
            instance.function is not None and is_light(self._estimates, instance.function, neighbour)
            for neighbour in gpu.neighbours
            for instance in neighbour.instances.values()
            if instance.state is InstanceState.STARTING
        ]
        return 0 if not loads else 1 if all(loads) else 2
