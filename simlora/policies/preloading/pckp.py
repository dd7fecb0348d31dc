"""ServerlessLoRA's pre-loading: its knapsack, filled greedily by value density."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from simlora.actions import Start
from simlora.policies.preloading.containers import IdleContainers
from simlora.policies.preloading.knapsack import Knapsack, Lacking, Rates
from simlora.policies.preloading.room import Room
from simlora.policies.registry import register
from simlora.views import ClusterView, ContainerView


class _Target:
    """A function's candidate: the container it would be pre-loaded in and the stages still to come there."""

    __slots__ = ("container", "lacking", "stages", "upto")

    def __init__(self, lacking: Lacking, container: ContainerView, stages: Iterator[str]) -> None:
        self.lacking = lacking
        self.container = container
        self.stages = stages
        self.upto = ""


@register("preloading", "pckp")
@dataclass
class Pckp(Knapsack):
    """Pre-load the stages with the highest value density into containers that are idle already.

    Source: ServerlessLoRA (arXiv 2505.14468): the greedy rule; :class:`Knapsack` has the model. Assumptions: a function
    goes to the container whose GPU holds its backbone, then with the fewest processes, then with the most memory;
    ``min_density`` (per second and byte, times seconds) is 0.
    """

    min_density: float = 0.0
    _idle: IdleContainers | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.min_density < 0:
            raise ValueError("min_density must be 0 or more")

    def _fill(self, lacking: Sequence[Lacking], rates: Rates, view: ClusterView) -> list[Start]:
        room = Room(self._estimates)
        targets = self._targets(lacking, view, room)
        heap: list[tuple[float, int, str]] = []
        for index, target in targets.items():
            self._push_next(heap, index, target, rates)
        while heap:
            _, index, stage = heapq.heappop(heap)
            target = targets[index]
            if room.take(target.lacking.function, stage, target.container):
                target.upto = stage
                self._push_next(heap, index, target, rates)
        why = "highest value density"
        return [self._start(t.lacking, t.container, t.upto, why) for t in targets.values() if t.upto]

    def _push_next(self, heap: list[tuple[float, int, str]], index: int, target: _Target, rates: Rates) -> None:
        stage = next(target.stages, None)
        if stage is None:
            return
        function, gpu = target.lacking.function, target.container.gpu
        weight_bytes = self._estimates.stage_host_bytes(function, stage)
        weight_bytes += self._estimates.stage_device_bytes(function, stage, gpu)
        density = self._value(function, stage, gpu, rates) / max(weight_bytes, 1)
        if density >= self.min_density:
            heapq.heappush(heap, (-density, index, stage))

    def _targets(self, lacking: Sequence[Lacking], view: ClusterView, room: Room) -> dict[int, _Target]:
        """Where each function can go on."""
        targets: dict[int, _Target] = {}
        if self._idle is None or self._idle.view is not view:
            self._idle = IdleContainers(view)
        idle = self._idle
        idle.begin(room)
        for one in lacking:
            container = one.partial.container if one.partial else idle.best(one.function, room)
            if container is not None:
                targets[one.function.index] = _Target(one, container, self._missing(one.partial))
        return targets
