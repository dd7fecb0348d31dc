"""Starting and ending processes: binding work to an instance, placing new ones, planned starts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from simlora.actions import Placement
from simlora.cluster.hardware import Place
from simlora.cluster.pipelines import Pipeline
from simlora.cluster.processes import Container, Instance
from simlora.engine.checks import refuse
from simlora.entities import Backbone, Function, QueuedRequest
from simlora.events import CauseKind, InstanceStarted, InstanceStopped
from simlora.latency.engines import Stage
from simlora.views import InstanceState

if TYPE_CHECKING:
    from simlora.engine.engine import Engine


class Starter:
    """Creates, advances and ends processes."""

    def __init__(self, engine: Engine):
        self._engine = engine
        self._env = engine.env
        self._cluster = engine.cluster
        self._system = engine.system
        self._reservations = engine.reservations
        self._first_stage = engine.estimates.stages[0]
        self._taken_whole = engine.system.containers == "shared"

    # ------------------------------------------------------------------ on demand

    def bind(self, work: Sequence[QueuedRequest], instance: Instance) -> bool:
        """Bind waiting requests to an instance, starting what it lacks; False, doing nothing, if memory is short."""
        idle = instance.state is InstanceState.IDLE
        if (idle or instance.upto is not None) and not self._complete(instance, work):
            return False
        cluster, record, now_s = self._cluster, self._engine.record, self._env.now
        for request in work:
            cluster.front.remove(request)
            instance.queue.push(request)
            if record.instance[request.index] < 0:
                record.bound_s[request.index] = now_s
        cluster.count_bound(work[0].function, len(work))
        instance.bound += len(work)
        cluster.touch(instance.gpus)
        cluster.idle_containers.pop(instance.container.id, None)
        if self._taken_whole and len(instance.container.instances) > 1:
            self._end_others(instance.container, instance)
        if not instance.ready and (idle or not instance.on_demand):
            self._now_starting(instance, on_demand=True)
        self._engine.server.rouse(instance)
        return True

    def _complete(self, instance: Instance, work: Sequence[QueuedRequest]) -> bool:
        """Reserve what lies between the instance and its first token for this work."""
        reservations = self._reservations
        stages = reservations.ahead_of(instance)
        where = instance.container, instance.place
        if not reservations.make_room(instance.function, instance.backbone, *where, stages, work, instance):
            return False
        if not self._engine.pipelines.has_room(instance, work):
            return False
        reservations.take(instance, stages, work)
        instance.upto = None
        return True

    def cold_start(self, work: Sequence[QueuedRequest], function: Function, why: str) -> bool:
        """A new instance where the placement policy says, ``work`` bound to it; False if there is no place now.

        Nothing ends for its sake before it is known that there would be room for it if all that may leave did.
        """
        placement = self._engine.places.find(work, function)
        if placement is None:
            return False
        place = self._cluster.place_of(placement.gpus)
        container, stages = self._home(placement)
        owner = None if self._system.sharing == "in-process" else function
        leaving = list(container.instances.values()) if container is not None and self._taken_whole else ()
        need_bytes = self._reservations.need_bytes(owner, function.backbone, place.gpu, stages, work)
        if not self._engine.room.could_make(place, need_bytes, leaving):
            return False
        elsewhere = [self._cluster.place_of((gpu,)) for gpu in placement.pipeline]
        limit = self._system.limits.instances_per_gpu
        if limit is not None:
            if not all(self._engine.room.make_slots(one, limit) for one in (place, *elsewhere)):
                return False
            container, stages = self._home(placement)
        if container is not None and self._taken_whole:
            self._end_others(container, None)
        if not self._reservations.make_room(owner, function.backbone, container, place, stages, work, None):
            return False
        if not self._engine.pipelines.make_room(function, elsewhere, work):
            return False
        if container is not None and container.id not in self._cluster.containers:
            # It ended with its last process, to make room.
            container, stages = self._home(placement)
        instance = self.create(owner, function.backbone, place, container, on_demand=True, why=why)
        if elsewhere:
            self._engine.pipelines.form(instance, elsewhere)
        self._reservations.take(instance, stages, work)
        self._engine.server.bring_to_life(instance)
        return not work or self.bind(work, instance)

    def _home(self, placement: Placement) -> tuple[Container | None, list[Stage]]:
        """The container that it names, if that is there still, and the stages to go through."""
        container = None
        if placement.container is not None:
            container = self._cluster.containers.get(placement.container.id)
        return container, list(self._reservations.missing(() if container is None else (self._first_stage,)))

    # ------------------------------------------------------------------ ahead of demand

    def start_ahead(
        self, function: Function | None, backbone: Backbone, placement: Placement, upto: str, why: str, policy: Any
    ) -> Instance:
        """A planned start as far as ``upto``; one that does not fit is the policy's fault."""
        place = self._cluster.place_of(placement.gpus)
        container = None if placement.container is None else self._cluster.containers[placement.container.id]
        instance = self.create(function, backbone, place, container, on_demand=False, why=why)
        self._advance(instance, upto, policy)
        self._engine.server.bring_to_life(instance)
        return instance

    def advance(self, instance: Instance, upto: str, policy: Any) -> None:
        """Take an idle instance further, as far as ``upto``."""
        self._advance(instance, upto, policy)
        self._now_starting(instance, on_demand=False)
        self._engine.server.rouse(instance)

    def _advance(self, instance: Instance, upto: str, policy: Any) -> None:
        reservations, gpu, container = self._reservations, instance.gpu, instance.container
        stages = list(reservations.missing(instance.done, upto))
        device_bytes = sum(reservations.own_bytes(instance.function, instance.backbone, stage) for stage in stages)
        device_bytes += reservations.backbone_bytes(instance.backbone, gpu, stages)
        host_bytes = sum(stage.host_bytes for stage in stages)
        host_free_bytes = min(container.free_bytes, gpu.node.memory.free_bytes)
        if device_bytes > instance.memory.free_bytes or host_bytes > host_free_bytes:
            what = f"{device_bytes} bytes on {instance.place} and {host_bytes} on its host"
            refuse(policy, self._env.now, f'a start of {instance} up to "{upto}" wants {what}: not free')
        reservations.take(instance, stages, ())
        instance.upto = upto

    def stand_ready(self, instance: Instance) -> None:
        """Engines that are always on are up before the first arrival (assumption: standing)."""
        stages = [stage for stage in self._engine.estimates.profile.startup if stage.name in instance.reserved]
        self._engine.backend.stand(instance, stages)
        for stage in stages:
            instance.done[stage.name] = instance.reserved.pop(stage.name)

    # ------------------------------------------------------------------ processes

    def create(
        self,
        function: Function | None,
        backbone: Backbone,
        place: Place,
        container: Container | None,
        pipeline: Pipeline | None = None,
        *,
        on_demand: bool,
        why: str,
    ) -> Instance:
        """A process with nothing reserved yet, in a container of its own unless one is given."""
        cluster, now_s = self._cluster, self._env.now
        home = container if container is not None else cluster.add_container(place, self._system.limits.container_bytes)
        instance = cluster.add_instance(function, backbone, home, pipeline)
        if on_demand:
            cluster.idle_containers.pop(home.id, None)
        instance.since_s = instance.last_used_s = instance.began_s = now_s
        instance.on_demand, instance.own_container = on_demand, container is None
        if container is not None:
            instance.done[self._first_stage] = 0
        self._engine.happened(InstanceStarted(now_s, instance.id, function, place.gpu.index, home.id, on_demand, why))
        return instance

    def _now_starting(self, instance: Instance, on_demand: bool) -> None:
        self._engine.usage.account(instance)
        instance.state = InstanceState.STARTING
        instance.on_demand = on_demand
        instance.began_s = self._env.now

    def _end_others(self, container: Container, keep: Instance | None) -> None:
        """The other processes of a container end when it is taken."""
        for other in [i for i in container.instances.values() if i is not keep]:
            self.end(other, "its container was taken")

    def end(self, instance: Instance, why: str) -> None:
        """The process ends and frees all it held; no work may be bound to it."""
        engine, now_s = self._engine, self._env.now
        if instance.bound or instance.running:
            raise RuntimeError(f"{instance} would end with work bound to it")
        if instance.process is not None and instance.process.is_alive:
            instance.process.interrupt()
        engine.usage.account(instance)
        if instance.pipeline is not None and not instance.helps:
            engine.pipelines.dissolve(instance.pipeline, f"{instance} ends: {why}")
        engine.adapters.end(instance)
        self._reservations.drop(instance, self._first_stage)
        self._reservations.drop_host_copies(instance)
        if instance.kv is not instance.memory:
            instance.memory.give(instance.kv.capacity_bytes)
        engine.backend.end(instance)
        self._cluster.remove_instance(instance)
        engine.happened(InstanceStopped(now_s, instance.id, instance.function, instance.gpu.index, why))
        engine.planner.notice(CauseKind.MEMORY_FREED)
        engine.front.instance_changed(instance)
        engine.front.memory_freed(instance.gpus)
