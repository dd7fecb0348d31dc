"""HydraServe's placement: where the network is free, a checkpoint coming over the network of several nodes at once."""

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

    It comes over the least number of nodes, up to ``most``, with which size / nodes / rate + ``setup_s`` keeps the SLO
    of the first token, the rate being the least that the nodes have free; over its own alone if no number does.

    Source: HydraServe (github.com/LLMServe/hydraserve, Apache-2.0), which tries 1 to 4 workers with 2 s for all that is
    not the fetch. Left out: the time per token, of no concern where no worker runs a part of the model; the prefill.
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
        return Placement.at(place)._replace(through=self._helpers(function, node, view))

    def _helpers(self, function: Function, node: NodeView, view: ClusterView) -> tuple[NodeView, ...]:
        others = sorted(
            (other for other in view.nodes if other.index != node.index),
            key=lambda other: (-other.fetch_per_s, other.index),
        )
        left_s = function.slo_ttft_s - self.setup_s
        for count in range(min(self.most, len(others) + 1)):
            helpers = tuple(others[:count])
            slowest_per_s = min(one.fetch_per_s for one in (node, *helpers))
            if function.backbone.weights_bytes <= left_s * (count + 1) * slowest_per_s:
                return helpers
        return ()
