"""Idling: what becomes of instances, containers and backbone processes that nobody uses.

One heap of deadlines and one timer. A deadline that has moved on is looked at when it comes and set anew, so an
instance that is used all the time has one entry, not one per use.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from math import inf
from typing import TYPE_CHECKING

import simpy

from simlora.cluster.processes import BackboneProcess, Container, Instance
from simlora.engine.checks import check_answer, check_keep
from simlora.events import BackboneEvicted, CauseKind
from simlora.views import InstanceState

if TYPE_CHECKING:
    from simlora.engine.engine import Engine

Holder = Container | BackboneProcess | Instance


class Idler:
    """Keeps what the keep-alive policy says, as long as it says."""

    def __init__(self, engine: Engine):
        self._engine = engine
        self._env = engine.env
        self._cluster = engine.cluster
        self._keepalive = engine.policies["keepalive"]
        self._backbone_s = engine.system.backbone_keepalive_s
        self._dedicated = engine.system.containers == "dedicated"
        self._container_stage = engine.estimates.stages[0]
        self._deadlines: list[tuple[float, int, Holder, str]] = []
        self._entries = 0
        self._timer: simpy.Event | None = None
        self._timer_s = inf

    @property
    def waiting(self) -> bool:
        """Whether something idle is still to be let go."""
        return bool(self._deadlines)

    # ------------------------------------------------------------------ instances and containers

    def became_idle(self, instance: Instance) -> None:
        """Its batch or its planned start is over and no work is bound to it."""
        engine, now_s = self._engine, self._env.now
        engine.usage.account(instance)
        ran, instance.state = instance.state is InstanceState.BUSY, InstanceState.IDLE
        instance.last_used_s = now_s
        container = instance.container
        if container.idle:
            self._cluster.idle_containers[container.id] = container
        engine.front.instance_changed(instance)
        engine.front.memory_freed(instance.gpus)
        if ran or instance.own_container or instance.on_demand:
            answer = self._keepalive.keep(instance, self._cluster)
            if type(answer) is not tuple:
                check_answer(self._keepalive, answer, Sequence, "keep", now_s)
            for kept in answer:
                check_keep(self._keepalive, kept, engine.estimates.stages, now_s)
                self._keep(instance, *kept)
        instance.own_container = False
        engine.planner.notice(CauseKind.BECAME_IDLE, instance.function, instance.id)

    def _keep(self, instance: Instance, stage: str, until_s: float) -> None:
        if stage == self._container_stage:
            container = instance.container
            container.keep_until_s = until_s
            if until_s < container.watched_s:
                self._watch(until_s, container, stage)
        else:
            instance.keep_until_s[stage] = until_s
            self._watch(until_s, instance, stage)

    def _watch(self, until_s: float, holder: Holder, stage: str) -> None:
        if until_s == inf:
            return
        if isinstance(holder, Container):
            holder.watched_s = until_s
        self._entries += 1
        heappush(self._deadlines, (until_s, self._entries, holder, stage))
        self._arm()

    def _arm(self) -> None:
        if self._deadlines and self._deadlines[0][0] < self._timer_s:
            self._timer_s = self._deadlines[0][0]
            self._timer = self._env.timeout(max(0.0, self._timer_s - self._env.now))
            self._timer.callbacks.append(self._due)

    def _due(self, timer: simpy.Event) -> None:
        if timer is not self._timer:
            return
        self._timer, self._timer_s = None, inf
        now_s = self._env.now
        while self._deadlines and self._deadlines[0][0] <= now_s:
            until_s, _, holder, stage = heappop(self._deadlines)
            if isinstance(holder, Container):
                self._container_due(holder)
            elif isinstance(holder, BackboneProcess):
                self._backbone_due(holder)
            else:
                self._stage_due(holder, stage, until_s)
        self._arm()

    def _container_due(self, container: Container) -> None:
        container.watched_s = inf
        if container.id not in self._cluster.containers or not container.idle:
            return
        if container.keep_until_s > self._env.now:
            self._watch(container.keep_until_s, container, self._container_stage)
            return
        for instance in list(container.instances.values()):
            self._engine.starter.end(instance, "keep-alive is over")
        if container.id in self._cluster.containers:
            self._cluster.remove_container(container)

    def _stage_due(self, instance: Instance, stage: str, until_s: float) -> None:
        """Unless it was used since: then a later deadline stands for it."""
        free = instance.state is InstanceState.IDLE and not instance.bound
        if free and stage in instance.done and instance.keep_until_s[stage] == until_s:
            self._engine.room.take_back(instance, stage, None, "keep-alive is over")

    def end(self, instance: Instance, why: str) -> None:
        """A process ends by decision; a container of its own ends with it."""
        self._engine.starter.end(instance, why)
        container = instance.container
        if self._dedicated and not container.instances:
            self._cluster.remove_container(container)

    # ------------------------------------------------------------------ backbone processes

    def backbone_unmapped(self, process: BackboneProcess) -> None:
        """Its last mapper has left."""
        process.unmapped_s = self._env.now
        self._watch(process.unmapped_s + self._backbone_s, process, "")

    def _backbone_due(self, process: BackboneProcess) -> None:
        there = process.gpu.backbones.get(process.backbone) is process
        if there and not process.mappers and process.unmapped_s + self._backbone_s <= self._env.now:
            self.end_backbone(process, "keep-alive is over")

    def end_backbone(self, process: BackboneProcess, why: str) -> None:
        """It frees its weights."""
        engine = self._engine
        engine.usage.account_backbone(process)
        self._cluster.remove_backbone(process)
        engine.backend.end_backbone(process)
        engine.happened(BackboneEvicted(self._env.now, process.backbone, process.gpu.index, process.bytes, why))
        engine.planner.notice(CauseKind.MEMORY_FREED)
        engine.front.memory_freed(process.place.gpus)
