"""What fails: processes, backbones and GPUs that end of their own accord, and what becomes of the requests they had.

The same for failures of real processes, which a back-end reports, and for those of a scenario (:mod:`mishaps`). Work
that fails ends its instance. Its requests start over at the front end, up to ``limits.retries`` times, or are turned
away, or fail, as the system's ``on_failure`` says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from simlora.cluster.hardware import Gpu, Node
from simlora.cluster.processes import BackboneProcess, Container, Instance
from simlora.entities import Function, QueuedRequest
from simlora.events import (
    AdapterFailed,
    BackboneFailed,
    CauseKind,
    Event,
    GpuLost,
    GpuReturned,
    InstanceFailed,
    RequestFailed,
    RequestRetried,
    WorkLost,
)
from simlora.results.recorder import FAILED
from simlora.views import InstanceState

if TYPE_CHECKING:
    from simlora.engine.engine import Engine

Reaction = Callable[[QueuedRequest, str], None]


class Failing:
    """Takes failures; one that concerns what is gone already is none.

    ``to_blame``: something has failed in this run, so that if nothing more happens in it that may be no policy's fault.
    """

    def __init__(self, engine: Engine):
        self._engine = engine
        self._env = engine.env
        self._cluster = engine.cluster
        reactions: dict[str, Reaction] = {"retry": self._retry, "reject": engine.front.reject, "fail": self._fail}
        self._react = reactions[engine.system.on_failure]
        self._retries = engine.system.limits.retries
        self._tried: dict[int, int] = {}
        self.to_blame = False

    def happened(self, failure: Event) -> None:
        """Something has failed."""
        self.to_blame = True
        self._engine.happened(failure)

    # ------------------------------------------------------------------ processes

    def process_lost(self, holder: Instance | BackboneProcess, why: str) -> None:
        """A back-end reports that a process has ended of its own accord."""
        if isinstance(holder, Instance):
            self.instance_lost(holder, why)
        else:
            self.backbone_lost(holder, why)

    def instance_lost(self, instance: Instance, why: str) -> None:
        """Its process is gone, or could not do its work and is ended; with a part of its model all of it is."""
        if instance.state is InstanceState.STOPPED:
            return
        if instance.pipeline is not None and instance.helps:
            self.instance_lost(instance.pipeline.main, f"{instance}, which ran a part of it, is lost: {why}")
            return
        engine, container = self._engine, instance.container
        engine.usage.account(instance)
        where = instance.id, instance.function, instance.gpu.index
        self.happened(InstanceFailed(self._env.now, *where, why))
        engine.planner.notice(CauseKind.FAILED, instance.function, instance.id)
        engine.server.break_off(instance)
        awaited = instance.on_demand and not instance.ready
        requests = engine.batches.forsake(instance)
        waiting = self._waiting_for(instance) if awaited and not requests else []
        engine.starter.end(instance, why)
        for request in waiting:
            self._after_failure(request, why)
        for request in requests:
            self._lose(request, instance, why)
        engine.front.memory_freed(instance.gpus)
        self._end_container(container, why)

    def _waiting_for(self, instance: Instance) -> list[QueuedRequest]:
        """A start that nothing was bound to has failed those who wait for their function at the front end."""
        cluster = self._cluster
        found = [
            request
            for queues in (cluster.front, cluster.held_back)
            for function in [f for f in queues.by_function if instance.serves(f)]
            for request in list(queues.by_function[function])
        ]
        for request in found:
            self._engine.front.withdraw(request)
        return found

    def _end_container(self, container: Container, why: str) -> None:
        """A container does not outlive a process in it, but for others that run or start for work."""
        for other in list(container.instances.values()):
            if other.is_spare:
                self._engine.starter.end(other, why)
        if not container.instances and container.id in self._cluster.containers:
            self._cluster.remove_container(container)

    def adapter_failed(self, instance: Instance, function: Function, why: str) -> None:
        """An engine that serves many functions could not load an adapter; it goes on without those who wait for it."""
        engine = self._engine
        self.happened(AdapterFailed(self._env.now, instance.id, function, instance.gpu.index, why))
        engine.usage.kv_changes(instance)
        waiting = [running for running in instance.running.values() if running.request.function is function]
        for running in waiting:
            self._lose(engine.batches.expel(instance, running), instance, why)
        engine.front.instance_changed(instance)
        engine.front.memory_freed(instance.gpus)

    # ------------------------------------------------------------------ backbones and GPUs

    def backbone_lost(self, process: BackboneProcess, why: str) -> None:
        """The process of a shared backbone is gone, and with it those that map it: its functions are cold."""
        gpu = process.gpu
        if gpu.backbones.get(process.backbone) is not process:
            return
        self.happened(BackboneFailed(self._env.now, process.backbone, gpu.index, why))
        for instance in list(process.mappers.values()):
            self.instance_lost(instance, why)
        if process.loading is not None and process.loading.is_alive:
            process.loading.interrupt()
        if gpu.backbones.get(process.backbone) is process:
            self._engine.idler.end_backbone(process, why)

    def gpu_lost(self, gpu: Gpu, why: str) -> None:
        """The GPU and all that is on it are gone."""
        gpu.lost += 1
        if gpu.lost > 1:
            return
        self._cluster.find_again()
        self.happened(GpuLost(self._env.now, gpu.index, why))
        for process in list(gpu.backbones.values()):
            self.backbone_lost(process, why)
        for instance in list(gpu.instances.values()):
            self.instance_lost(instance, why)
        for container in list(gpu.containers.values()):
            self._cluster.remove_container(container)

    def gpu_returned(self, gpu: Gpu) -> None:
        """One failure that kept it away is over."""
        gpu.lost -= 1
        if gpu.lost:
            return
        engine = self._engine
        self._cluster.find_again()
        engine.happened(GpuReturned(self._env.now, gpu.index))
        engine.planner.notice(CauseKind.GPU_RETURNED)
        engine.planner.notice(CauseKind.MEMORY_FREED)
        engine.front.memory_freed([gpu])

    def host_lost(self, node: Node) -> None:
        """A node whose GPUs are lost loses its host memory, too; its storage keeps what has come whole (assumption)."""
        for fetch in list(node.fetching.values()):
            fetch.interrupt()
        node.cache.clear()

    # ------------------------------------------------------------------ requests

    def _lose(self, request: QueuedRequest, instance: Instance, why: str) -> None:
        """It was bound to the instance, or ran there."""
        now_s, since_s = self._env.now, self._engine.record.bound_s[request.index]
        where = instance.id, instance.gpu.index
        self._engine.happened(WorkLost(now_s, request.function, request.index, *where, now_s - since_s, why))
        self._after_failure(request, why)

    def _after_failure(self, request: QueuedRequest, why: str) -> None:
        """As the system says."""
        self._engine.batches.start_over(request, self._env.now)
        self._react(request, why)

    def _retry(self, request: QueuedRequest, why: str) -> None:
        tried = self._tried[request.index] = self._tried.get(request.index, 0) + 1
        if tried > self._retries:
            self._fail(request, why)
            return
        self._engine.happened(RequestRetried(self._env.now, request.function, request.index, why))
        self._engine.front.give_back(request)
        self._engine.scaler.has_work(request.function)

    def _fail(self, request: QueuedRequest, why: str) -> None:
        self._engine.happened(RequestFailed(self._env.now, request.function, request.index, why))
        self._engine.resolve(request.index, FAILED)

    def fail_the_rest(self) -> None:
        """Nothing more is going to happen: requests that wait, at the front end or at an instance, fail."""
        self._react = self._fail
        why = "nothing that is left can serve it"
        cluster = self._cluster
        for instance in [i for gpu in cluster.gpus for i in gpu.instances.values()]:
            if instance.bound or instance.running:
                self.instance_lost(instance, why)
        for request in [r for queues in (cluster.front, cluster.held_back) for r in queues.in_order()]:
            self._engine.front.withdraw(request)
            self._after_failure(request, why)
