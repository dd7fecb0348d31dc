"""Reservations: a start takes its stages, its backbone and its first KV at once, or nothing (design law 4)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from simlora.cluster.hardware import Gpu, Place
from simlora.cluster.memory import Memory
from simlora.cluster.processes import Container, Instance
from simlora.entities import ArtifactKind, Backbone, Function, QueuedRequest
from simlora.latency.engines import Stage

if TYPE_CHECKING:
    from simlora.engine.engine import Engine


class Reservations:
    """What starts need, and taking and giving back their bytes."""

    def __init__(self, engine: Engine):
        self._engine = engine
        self._cluster = engine.cluster
        self._estimates = engine.estimates
        self._stages = engine.estimates.profile.startup
        self._in_process = engine.system.sharing == "in-process"
        self._paged = engine.system.adapter_memory == "paged"
        self._rooms: dict[tuple[Function, int], int] = {}
        self._sizes: dict[int, list[int]] = {}

    def can_ever_hold(self, request: QueuedRequest) -> bool:
        """Whether an otherwise empty place has room for the request beside what serves it."""
        return self._holds(self._capacities(request.function.backbone)[-1], request)

    def large_enough(self, work: Sequence[QueuedRequest], function: Function) -> Sequence[Place]:
        """The places that would have room for the first request of ``work`` if they were otherwise empty."""
        places = self._cluster.places(function.backbone.tensor_parallel)
        if not work or self._holds(self._capacities(function.backbone)[0], work[0]):
            return places
        return [place for place in places if self._holds(place.memory.capacity_bytes, work[0])]

    def _capacities(self, backbone: Backbone) -> list[int]:
        """Of the places for it, the smallest first; 0 where there are none."""
        sizes = self._sizes.get(backbone.tensor_parallel)
        if sizes is None:
            places = self._cluster.every_place(backbone.tensor_parallel)
            sizes = sorted({place.memory.capacity_bytes for place in places}) or [0]
            self._sizes[backbone.tensor_parallel] = sizes
        return sizes

    def _holds(self, capacity_bytes: int, request: QueuedRequest) -> bool:
        function, estimates = request.function, self._estimates
        room_bytes = self._rooms.get((function, capacity_bytes))
        if room_bytes is None:
            if self._in_process:
                room_bytes = estimates.pool_bytes(function.backbone, capacity_bytes)
            else:
                stages_bytes = sum(estimates.stage_device_bytes(function, stage) for stage in estimates.stages)
                room_bytes = capacity_bytes - stages_bytes
            self._rooms[function, capacity_bytes] = room_bytes
        return estimates.most_bytes(request) + estimates.pool_adapter_bytes(function) <= room_bytes

    # ------------------------------------------------------------------ what is needed

    def missing(self, behind: Collection[str], upto: str | None = None) -> Iterator[Stage]:
        """Stages not ``behind``, as far as ``upto`` (``None``: all)."""
        for stage in self._stages:
            if stage.name not in behind:
                yield stage
            if stage.name == upto:
                return

    def own_bytes(self, function: Function | None, backbone: Backbone, stage: Stage, parts: int = 1) -> int:
        """Device bytes of a stage in the process itself, of which it may run one of so many parts."""
        if function is None:
            return self._estimates.engine_stage_bytes(backbone, stage)
        return self._estimates.own_bytes(function, stage.name, parts)

    def backbone_bytes(self, backbone: Backbone, gpu: Gpu, stages: Sequence[Stage]) -> int:
        """Of a shared backbone that these stages would be the first to load there."""
        first = backbone not in gpu.backbones and any(s.name in self._estimates.shared_stages for s in stages)
        return self._estimates.backbone_process_bytes(backbone) if first else 0

    def make_room(
        self,
        function: Function | None,
        backbone: Backbone,
        container: Container | None,
        place: Place,
        stages: Sequence[Stage],
        work: Sequence[QueuedRequest],
        keep: Instance | None,
        parts: int = 1,
    ) -> bool:
        """Whether the stages and the KV of the work, or at least of its first request, fit, evicting if need be.

        Of a process that runs one of several ``parts``: its part of them.
        """
        gpu, memory = place.gpu, place.memory
        kv_bytes = [] if self._in_process else [-(-self._estimates.request_bytes(r) // parts) for r in work]
        if stages and not self._fits_host(stages, gpu, container):
            return False
        own_bytes = self._stages_bytes(function, backbone, gpu, stages, parts)
        if own_bytes + sum(kv_bytes) + self.backbone_bytes(backbone, gpu, stages) <= memory.free_bytes:
            return True
        for kv in dict.fromkeys((sum(kv_bytes), sum(kv_bytes[:1]))):
            if self._engine.room.make(place, own_bytes + kv + self.backbone_bytes(backbone, gpu, stages), keep):
                # What left may have been the very backbone these stages were to map, or have gone to this host memory.
                fits = own_bytes + kv + self.backbone_bytes(backbone, gpu, stages) <= memory.free_bytes
                return fits and self._fits_host(stages, gpu, container)
        return False

    def _stages_bytes(
        self, function: Function | None, backbone: Backbone, gpu: Gpu, stages: Sequence[Stage], parts: int = 1
    ) -> int:
        """Of the process itself, and of its KV pool if it is to have one."""
        if not stages:
            return 0
        pool_bytes = self._estimates.pool_bytes(backbone, gpu.capacity_bytes) if function is None else 0
        return pool_bytes + sum(self.own_bytes(function, backbone, stage, parts) for stage in stages)

    def ahead_of(self, instance: Instance) -> list[Stage]:
        """What an instance has to reserve before it can serve."""
        return [] if instance.ready else list(self.missing({**instance.done, **instance.reserved}))

    def lacks_host(self, instance: Instance) -> bool:
        """Whether its host has no room for what lies between it and its first token."""
        return not self._fits_host(self.ahead_of(instance), instance.gpu, instance.container)

    def could_fit(self, instance: Instance, request: QueuedRequest, evictable_bytes: int) -> bool:
        """Whether its GPUs would have room for the rest of its start and a request if so much left each of them."""
        stages, gpu = self.ahead_of(instance), instance.gpu
        need_bytes = self.need_bytes(instance.function, instance.backbone, gpu, stages, (request,))
        return need_bytes <= instance.memory.free_bytes + evictable_bytes

    def need_bytes(
        self,
        function: Function | None,
        backbone: Backbone,
        gpu: Gpu,
        stages: Sequence[Stage],
        work: Sequence[QueuedRequest],
    ) -> int:
        """Of the stages, of a backbone that they would be the first to load, and of the first request."""
        need_bytes = self._stages_bytes(function, backbone, gpu, stages) + self.backbone_bytes(backbone, gpu, stages)
        if work and not self._in_process:
            need_bytes += self._estimates.request_bytes(work[0])
        return need_bytes

    @staticmethod
    def _fits_host(stages: Sequence[Stage], gpu: Gpu, container: Container | None) -> bool:
        host_bytes = sum(stage.host_bytes for stage in stages)
        return host_bytes <= gpu.node.memory.free_bytes and (container is None or host_bytes <= container.free_bytes)

    # ------------------------------------------------------------------ take and give back

    def take(self, instance: Instance, stages: Sequence[Stage], work: Sequence[QueuedRequest]) -> None:
        """Take what :meth:`make_room` found to fit."""
        self._engine.usage.account(instance)
        if stages:
            self._take_stages(instance, stages)
        if self._in_process and instance.kv is instance.memory:
            self._take_pool(instance)
        if instance.kv is instance.memory:
            for request in work:
                if not self.hold(instance, request):
                    break

    def _take_stages(self, instance: Instance, stages: Sequence[Stage]) -> None:
        gpu = instance.gpu
        if backbone_bytes := self.backbone_bytes(instance.backbone, gpu, stages):
            self._cluster.add_backbone(instance.place, instance.backbone, backbone_bytes)
        device_bytes = host_bytes = 0
        loads = 1 if instance.pipeline is None else instance.pipeline.parts
        holds = loads if instance.helps else 1
        for stage in stages:
            size_bytes = self.own_bytes(instance.function, instance.backbone, stage, holds)
            device_bytes += size_bytes
            host_bytes += stage.host_bytes
            instance.reserved[stage.name] = size_bytes
            if stage.name in self._estimates.shared_stages:
                gpu.backbones[instance.backbone].mappers[instance.id] = instance
            if stage.moves and stage.artifact is ArtifactKind.BACKBONE and (backbone_bytes or size_bytes):
                gpu.node.expect_read(instance.id, instance.backbone, loads)
        instance.memory.take(device_bytes)
        instance.stage_bytes += device_bytes
        self._take_host(instance, host_bytes)

    def _take_pool(self, instance: Instance) -> None:
        pool_bytes = self._estimates.pool_bytes(instance.backbone, instance.gpu.capacity_bytes)
        instance.memory.take(pool_bytes)
        instance.kv = instance.adapter_memory = Memory(f"KV pool of {instance}", pool_bytes)
        instance.adapter_slots = self._estimates.adapter_slots(instance.backbone)
        if not self._paged:
            slots_bytes = self._estimates.slots_bytes(instance.backbone)
            instance.adapter_memory = Memory(f"adapter slots of {instance}", slots_bytes)
        for function in self._cluster.functions if self._estimates.all_on_host else ():
            if instance.serves(function):
                self.keep_on_host(instance, function)

    def hold(self, instance: Instance, request: QueuedRequest) -> bool:
        """Set KV aside for a request that is bound, usage being accounted for; False if it does not fit."""
        size_bytes = self._estimates.request_bytes(request)
        if size_bytes > instance.kv_room_bytes:
            return False
        instance.take_kv(size_bytes)
        instance.held[request.index] = size_bytes
        instance.held_bound_bytes += size_bytes
        return True

    def hold_instead(self, instance: Instance, request: QueuedRequest) -> bool:
        """The same for a request about to run, of what others bound there hold that came after it, the last first."""
        waiting = [index for index in sorted(instance.held, reverse=True) if index not in instance.running]
        while not self.hold(instance, request):
            if not waiting or waiting[0] < request.index:
                return False
            size_bytes = instance.held.pop(waiting.pop(0))
            instance.held_bound_bytes -= size_bytes
            instance.give_kv(size_bytes)
        return True

    def release_bound(self, instance: Instance, request: QueuedRequest) -> None:
        """Give back the KV of a request that leaves before it ran."""
        self._engine.usage.kv_changes(instance)
        size_bytes = instance.held.pop(request.index, 0)
        instance.held_bound_bytes -= size_bytes
        instance.give_kv(size_bytes)

    def drop(self, instance: Instance, first: str, keep_adapter: bool = False) -> int:
        """Give up the stages from ``first`` on, done or reserved; the device bytes that frees."""
        device_bytes = host_bytes = 0
        done, reserved = instance.done, instance.reserved
        instance.gpu.node.expected.pop(instance.id, None)
        reached = False
        for stage in self._stages:
            name = stage.name
            reached = reached or name == first
            if reached and (name in done or name in reserved):
                device_bytes += done.pop(name, 0) + reserved.pop(name, 0)
                host_bytes += stage.host_bytes
                if name in self._estimates.shared_stages:
                    self._unmap(instance)
        self._give_host(instance, host_bytes)
        if keep_adapter and instance.function is not None:
            self.keep_on_host(instance, instance.function)
        instance.memory.give(device_bytes)
        instance.stage_bytes -= device_bytes
        instance.ready = False
        return device_bytes

    def _unmap(self, instance: Instance) -> None:
        process = instance.gpu.backbones[instance.backbone]
        del process.mappers[instance.id]
        if not process.mappers and process.loaded:
            self._engine.idler.backbone_unmapped(process)
        elif not process.mappers and process.loading is None:
            self._engine.idler.end_backbone(process, "nobody came to load it")

    def keep_on_host(self, instance: Instance, function: Function) -> None:
        """A copy of the adapter in the container's host memory, if it has room; the least recently loaded leaves."""
        adapter, copies, container = function.adapter, instance.host_copies, instance.container
        if adapter.name in copies:
            copies[adapter.name] = copies.pop(adapter.name)
            return
        self._engine.usage.account(instance)
        if len(copies) == self._estimates.host_copies:
            self._give_host(instance, copies.pop(next(iter(copies))))
        if adapter.bytes <= min(container.free_bytes, container.gpu.node.memory.free_bytes):
            self._take_host(instance, adapter.bytes)
            copies[adapter.name] = adapter.bytes

    def drop_host_copies(self, instance: Instance) -> None:
        """Give back what the instance kept on the host."""
        self._give_host(instance, sum(instance.host_copies.values()))
        instance.host_copies.clear()

    @staticmethod
    def _take_host(instance: Instance, size_bytes: int) -> None:
        instance.container.memory.take(size_bytes)
        instance.gpu.node.memory.take(size_bytes)
        instance.host_bytes += size_bytes

    @staticmethod
    def _give_host(instance: Instance, size_bytes: int) -> None:
        instance.host_bytes -= size_bytes
        instance.container.memory.give(size_bytes)
        instance.gpu.node.memory.give(size_bytes)
