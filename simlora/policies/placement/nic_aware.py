"""HydraServe's placement: where the network is free, a model coming in parts to a pipeline over several nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from simlora.actions import Placement
from simlora.entities import Function
from simlora.policies.placement.by_room import Placing
from simlora.policies.registry import register
from simlora.views import ClusterView, GpuView, NodeView, PlaceView


@register("placement", "nic-aware")
@dataclass
class NicAware(Placing):
    """A node that has the checkpoint, else the one that gets it fastest; there the GPU with the most free memory.

    Otherwise a pipeline over the least number of nodes, up to ``most``, with which size / nodes / rate + ``setup_s``
    keeps the SLO of the first token, the rate being the least that the nodes have free; no pipeline if no number does.
    Its other nodes are those with the highest free rate that have room for a part, on their GPU with the most free.

    Source: HydraServe (github.com/LLMServe/hydraserve, Apache-2.0), which tries 1 to 4 workers with 2 s for all that is
    not the fetch. Left out: the time per token, and with it how many workers get the memory for all of the model, for
    it is one; the prefill and the wait in the queue.
    """

    most: int = 4
    setup_s: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.most < 1:
            raise ValueError(f"most must be at least 1 (found {self.most})")
        if not self.setup_s >= 0:
            raise ValueError(f"setup_s must be 0 or more (found {self.setup_s})")

    def place(self, function: Function, places: Sequence[PlaceView], view: ClusterView) -> Placement | None:
        checkpoint = function.backbone.name

        def rank(gpu: GpuView) -> tuple[float, ...]:
            node = gpu.node
            return (not node.caches(checkpoint), not node.stores(checkpoint), -node.fetch_per_s, -gpu.free_bytes)

        place = self._best_place(function, places, rank)
        if place is None:
            return None
        node = place.gpu.node
        if node.caches(checkpoint) or node.stores(checkpoint):
            return Placement.at(place)
        return Placement.at(place)._replace(pipeline=self._helpers(function, place.gpu, view))

    def _helpers(self, function: Function, gpu: GpuView, view: ClusterView) -> Sequence[GpuView]:
        nodes = sorted(
            (node for node in view.nodes if node.index != gpu.node.index),
            key=lambda node: (-node.fetch_per_s, node.index),
        )
        left_s = function.slo_ttft_s - self.setup_s
        for parts in range(1, self.most + 1):
            helpers = self._with_room(function, parts, gpu.kind, nodes)
            if helpers is not None:
                slowest_per_s = min(one.node.fetch_per_s for one in (gpu, *helpers))
                if function.backbone.weights_bytes <= left_s * parts * slowest_per_s:
                    return helpers
        return ()

    def _with_room(
        self, function: Function, parts: int, kind: str, nodes: Sequence[NodeView]
    ) -> Sequence[GpuView] | None:
        """GPUs for all parts but the first, each on the first of the nodes that has room; None if there are too few."""
        part_bytes = self._estimates.part_bytes(function, parts)
        if parts == 1 or part_bytes is None:
            return () if parts == 1 else None
        found: list[GpuView] = []
        for node in nodes:
            alike = [gpu for gpu in node.gpus if gpu.kind == kind]
            freest = max(alike, key=lambda gpu: (gpu.free_bytes, -gpu.index), default=None)
            if freest is not None and part_bytes + self.headroom_bytes // parts <= freest.free_bytes:
                found.append(freest)
            if len(found) == parts - 1:
                return found
        return None
