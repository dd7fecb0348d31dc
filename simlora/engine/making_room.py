"""Making room on a GPU: the offloading policy names what leaves, the engine checks it and does it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from simlora.actions import Demand, Evict, Eviction, Stop
from simlora.cluster.hardware import Gpu, Place
from simlora.cluster.processes import Instance
from simlora.engine.checks import check_answer, check_eviction
from simlora.entities import ArtifactKind, Tier
from simlora.events import CauseKind, InstanceEvicted
from simlora.views import InstanceState

if TYPE_CHECKING:
    from simlora.engine.engine import Engine


def _in_use(gpu: Gpu) -> int:
    """How many of its instances can't be ended now."""
    return sum(i.bound > 0 or i.state is not InstanceState.IDLE for i in gpu.instances.values())


class RoomMaker:
    """Evicts what policies name."""

    def __init__(self, engine: Engine):
        self._engine = engine
        self._env = engine.env
        self._cluster = engine.cluster
        self._offloading = engine.policies["offloading"]

    def make(self, place: Place, wanted_bytes: int, keep: Instance | None) -> bool:
        """Whether ``wanted_bytes`` are free on each GPU of ``place``, after evictions if the policy names enough."""
        for gpu in place.gpus:
            short_bytes = wanted_bytes - gpu.memory.free_bytes
            if short_bytes > 0:
                self.evict(self._offloading, self._victims(short_bytes, gpu, keep), keep)
        return wanted_bytes <= place.memory.free_bytes

    def could_make(self, place: Place, wanted_bytes: int, leaving: Collection[Instance]) -> bool:
        """Whether so much would be free on each GPU of ``place`` if all that may leave did, and those ``leaving``."""
        if wanted_bytes <= place.memory.free_bytes:
            return True
        gpus = place.gpus
        return all(wanted_bytes <= gpu.memory.free_bytes + self.evictable_bytes(gpu, None, leaving) for gpu in gpus)

    @staticmethod
    def evictable_bytes(gpu: Gpu, keep: Instance | None, leaving: Collection[Instance] = ()) -> int:
        """What would become free on a GPU if all that policies may evict left: for ``keep``, or if it is none for a new
        instance, in whose favour those ``leaving`` end whatever they do."""
        freed_bytes = 0
        for instance in gpu.instances.values():
            idle = instance.state is InstanceState.IDLE and not instance.bound and instance is not keep
            if idle or instance in leaving:
                freed_bytes += instance.device_bytes
        for process in gpu.backbones.values():
            idle = process.loaded and not process.in_use and (keep is None or keep.id not in process.mappers)
            if idle or (leaving and all(mapper in leaving for mapper in process.mappers.values())):
                freed_bytes += process.bytes
        return freed_bytes

    @staticmethod
    def with_slots(places: Sequence[Place], limit: int | None) -> Sequence[Place]:
        """Those of ``places`` with fewer than ``limit`` instances on each GPU, else those with so few in use."""
        if limit is None:
            return places
        free = [place for place in places if all(len(gpu.instances) < limit for gpu in place.gpus)]
        return free or [place for place in places if all(_in_use(gpu) < limit for gpu in place.gpus)]

    def make_slots(self, place: Place, limit: int) -> bool:
        """Whether fewer than ``limit`` instances are on each GPU, after the policy has named some to end if need be.

        A policy that would only take stages back makes no slot, and is not told to.
        """
        for gpu in place.gpus:
            while len(gpu.instances) >= limit:
                stops = [victim for victim in self._victims(1, gpu, None) if isinstance(victim, Stop)]
                if not stops:
                    return False
                self.evict(self._offloading, stops[:1])
        return True

    def _victims(self, need_bytes: int, gpu: Gpu, keep: Instance | None) -> Sequence[Eviction]:
        victims: Sequence[Eviction] = self._offloading.victims(Demand(need_bytes, gpu, keep), self._cluster)
        check_answer(self._offloading, victims, Sequence, "victims", self._env.now)
        return victims

    def evict(self, policy: Any, victims: Sequence[Eviction], keep: Instance | None = None) -> None:
        """Carry out evictions of a policy, each checked when its turn comes."""
        for eviction in victims:
            check_eviction(policy, eviction, self._engine.estimates.stages, keep, self._cluster)
            if isinstance(eviction, Stop):
                self._engine.idler.end(self._cluster.find(eviction.instance), eviction.why)
            elif isinstance(eviction, Evict):
                instance = self._cluster.find(eviction.instance)
                self.take_back(instance, eviction.stage, eviction.to, eviction.why)
            else:
                process = self._cluster.every_gpu[eviction.gpu.index].backbones[eviction.backbone]
                self._engine.idler.end_backbone(process, eviction.why)

    def take_back(self, instance: Instance, first: str, to: Tier | None, why: str) -> None:
        """An idle instance gives up the stage ``first`` and all after it."""
        engine = self._engine
        engine.usage.account(instance)
        held = [stage for stage in engine.estimates.profile.startup if stage.name in instance.done]
        freed_bytes = engine.reservations.drop(instance, first, keep_adapter=to is Tier.HOST)
        engine.backend.drop(instance, [stage for stage in held if stage.name not in instance.done])
        if instance.pipeline is not None and ArtifactKind.BACKBONE not in instance.done:
            engine.pipelines.dissolve(instance.pipeline, f"{instance} is taken back: {why}")
        where = instance.function, instance.gpu.index, first
        engine.happened(InstanceEvicted(self._env.now, instance.id, *where, freed_bytes, why))
        engine.planner.notice(CauseKind.MEMORY_FREED)
        engine.front.memory_freed(instance.gpus)
