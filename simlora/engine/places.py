"""Where new instances go. Who found no place is not asked about again before a change that concerns the answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from simlora.actions import Placement
from simlora.cluster.hardware import Gpu
from simlora.engine.checks import check_placement, refuse
from simlora.entities import Backbone, Function, QueuedRequest
from simlora.policies.base import TellsWhere

if TYPE_CHECKING:
    from simlora.engine.engine import Engine

Kind = tuple[Backbone, int]


def _kind(function: Function) -> Kind:
    """What a start needs depends on no more than this."""
    return function.backbone, function.adapter_shard_bytes


class Places:
    """Asks the placement policy, and remembers for what kind of function there is no place (design law 9).

    ``nowhere``: of each such kind, the functions that wait for one.
    """

    def __init__(self, engine: Engine):
        self._engine = engine
        self._cluster = engine.cluster
        self._limits = engine.system.limits
        self._policy = engine.policies["placement"]
        self._remembers = isinstance(self._policy, TellsWhere) and engine.system.sharing != "in-process"
        self.nowhere: dict[Kind, dict[Function, None]] = {}

    def find(self, work: Sequence[QueuedRequest], function: Function) -> Placement | None:
        """Where the policy puts an instance that serves ``work`` first, if limits allow one and there is a place."""
        limits, kind = self._limits, _kind(function)
        instances = len(self._cluster.instances_of(function))
        if kind in self.nowhere or instances >= (limits.instances_per_function or instances + 1):
            return None
        limit, every_place = limits.instances_per_gpu, self._cluster.places(function.backbone.tensor_parallel)
        large = self._engine.reservations.large_enough(work, function)
        places = self._engine.room.with_slots(large, limit)
        placement: Placement | None = self._policy.place(function, places, self._cluster) if places else None
        if placement is None:
            if self._remembers and places is every_place:
                self.nowhere[kind] = {function: None}
            return None
        check_placement(self._policy, placement, function.backbone, self._cluster)
        place = self._cluster.place_of(placement.gpus)
        if place not in places:
            refuse(self._policy, self._cluster.now_s, f"places {function.id} on {place}, which was not offered")
        if placement.pipeline and self._engine.estimates.part_bytes(function, 1 + len(placement.pipeline)) is None:
            refuse(self._policy, self._cluster.now_s, f"places {function.id}, which can't be split, in a pipeline")
        return placement

    def wait(self, function: Function) -> bool:
        """Whether there is no place for it; :meth:`changed` then names it as soon as there may be one."""
        waiting = self.nowhere.get(_kind(function))
        if waiting is not None:
            waiting[function] = None
        return waiting is not None

    def changed(self, gpus: Sequence[Gpu]) -> Sequence[Function]:
        """More may be free on these GPUs: who waits and could use one of them, or has an instance there."""
        concerned: list[Function] = []
        for kind, waiting in list(self.nowhere.items()):
            first = next(iter(waiting))
            if any(self._policy.could_use(first, gpu) for gpu in gpus):
                concerned += self.nowhere.pop(kind)
        if self.nowhere:
            here = (instance.function for gpu in gpus for instance in gpu.instances.values())
            concerned += [f for f in here if f is not None and f in self.nowhere.get(_kind(f), ())]
        return concerned
