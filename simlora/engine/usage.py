"""Usage as it happens: who held which bytes in which state, from when to when. Dollars come later."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simlora.cluster.processes import BackboneProcess, Instance
from simlora.results.recorder import BACKBONE, BUSY, GPU, IDLE, INSTANCE, RESERVED, STARTING
from simlora.views import InstanceState

if TYPE_CHECKING:
    from simlora.engine.engine import Engine

STATE = {InstanceState.STARTING: STARTING, InstanceState.IDLE: IDLE, InstanceState.BUSY: BUSY}


class Usage:
    """Closes the interval of a holder before its state or bytes change."""

    def __init__(self, engine: Engine):
        self._engine = engine
        self._env = engine.env
        self._cluster = engine.cluster
        self._record = engine.record

    def account(self, instance: Instance) -> None:
        """Up to now. A pre-load into a container that is there anyway counts as idle, a helper as what it helps."""
        self._cluster.touch(instance.gpus)
        now_s, pipeline = self._env.now, instance.pipeline
        if now_s > instance.since_s:
            state = STATE[instance.state if pipeline is None else pipeline.main.state]
            if state == STARTING and not (instance.on_demand or instance.own_container):
                state = IDLE
            function = instance.function.index if instance.function is not None else -1
            where = instance.id, function, instance.gpu.index
            device_bytes = instance.device_bytes
            self._record.usage(INSTANCE, *where, state, instance.since_s, now_s, device_bytes, instance.host_bytes)
            for gpu in instance.place.others:
                where = instance.id, function, gpu.index
                self._record.usage(INSTANCE, *where, state, instance.since_s, now_s, device_bytes, 0)
        instance.since_s = now_s
        if pipeline is not None and pipeline.main is instance:
            for helper in pipeline.helpers:
                self.account(helper)

    def kv_changes(self, instance: Instance) -> None:
        """Its KV is about to change, which is of no concern where a pool that is there anyway holds it."""
        if instance.kv is instance.memory:
            self.account(instance)

    def account_backbone(self, process: BackboneProcess) -> None:
        """Up to now: starting until loaded if somebody waits for it, busy while a mapper's batch runs."""
        self._cluster.touch(process.place.gpus)
        now_s = self._env.now
        if now_s > process.since_s:
            state = BUSY if process.active else IDLE
            if not process.loaded and any(m.on_demand or m.own_container for m in process.mappers.values()):
                state = STARTING
            for gpu in process.place.gpus:
                self._record.usage(BACKBONE, process.id, -1, gpu.index, state, process.since_s, now_s, process.bytes, 0)
        process.since_s = now_s

    def close(self) -> None:
        """The end of the run."""
        now_s = self._env.now
        for gpu in self._cluster.every_gpu:
            for instance in gpu.instances.values():
                self.account(instance)
            for process in gpu.backbones.values():
                self.account_backbone(process)
            if gpu.reserved:
                self._record.usage(GPU, gpu.index, -1, gpu.index, RESERVED, 0.0, now_s, gpu.capacity_bytes, 0)
