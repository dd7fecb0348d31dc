"""Start-up: the cold-start stages of a process, one after the other, and where their bytes come from."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import simpy

from simlora.backends.base import Task, WorkFailedError
from simlora.cluster.hardware import Node
from simlora.cluster.processes import BackboneProcess, Instance
from simlora.entities import Artifact, ArtifactKind, Backbone, Tier
from simlora.events import BackboneLoaded, CauseKind, StageFinished
from simlora.latency.engines import Stage

if TYPE_CHECKING:
    from simlora.engine.engine import Engine

Life = Generator[simpy.Event, Any, None]


class StartUp:
    """Does the stages that an instance has reserved."""

    def __init__(self, engine: Engine):
        self._engine = engine
        self._env = engine.env
        self._cluster = engine.cluster
        self._stages = engine.estimates.profile.startup
        self._shared = engine.estimates.shared_stages
        self._checkpoints: dict[Backbone, Artifact] = {}

    def bring_up(self, instance: Instance) -> Life:
        """Every stage reserved, also those that join while it is under way."""
        env, backend, reserved = self._engine.env, self._engine.backend, instance.reserved
        self._fetch_ahead(instance)
        for stage in self._stages:
            if stage.name in reserved:
                began_s = env.now
                source: Tier | None = None
                if stage.moves:
                    source = yield from self._move(instance, stage)
                else:
                    instance.task = task = backend.stage(instance, stage, None, None)
                    yield task.done
                    instance.task = None
                size_bytes = instance.done[stage.name] = reserved.pop(stage.name)
                where = instance.function, instance.gpu.index, stage.name
                seconds = env.now - began_s
                self._engine.happened(
                    StageFinished(env.now, instance.id, *where, seconds, size_bytes, source or "", instance.on_demand)
                )
        if not instance.helps:
            yield from self._engine.pipelines.join(instance)
        self.check_ready(instance)
        self._engine.planner.notice(CauseKind.LOAD_FINISHED, instance.function, instance.id)

    def _fetch_ahead(self, instance: Instance) -> None:
        """What its stages need from the remote store and begin to fetch beside the stages before them."""
        node = instance.gpu.node
        for stage in self._stages:
            if stage.fetch == "at-start" and stage.name in instance.reserved:
                artifact = self._artifact(instance, stage)
                if artifact is not None and artifact.name not in instance.host_copies and self._is_away(artifact, node):
                    self._fetching(artifact, node)

    def check_ready(self, instance: Instance) -> None:
        """Note the time if the last stage is behind it."""
        instance.ready = len(instance.done) == len(self._stages)
        if instance.ready:
            instance.ready_s = self._env.now
            self._engine.front.instance_changed(instance)

    def _move(self, instance: Instance, stage: Stage) -> Generator[simpy.Event, Any, Tier | None]:
        """A stage that brings an artifact to the device, or maps the shared copy that is there; where it came from."""
        artifact = self._artifact(instance, stage)
        source: Tier | None = None
        if stage.name in self._shared:
            process = instance.gpu.backbones[instance.backbone]
            instance.gpu.node.expected.pop(instance.id, None)
            if not process.loaded:
                if process.loading is None:
                    process.loading = self._env.process(self._try_to_load(process, stage))
                yield process.loading
            artifact = None
        if artifact is not None:
            source = yield from self.find(artifact, instance)
        instance.gpu.node.expected.pop(instance.id, None)
        yield from self.work(instance, self._engine.backend.stage(instance, stage, artifact, source))
        if artifact is not None and artifact.kind is ArtifactKind.BACKBONE and artifact.whole is None:
            instance.gpu.node.cache.use(artifact.name, artifact.bytes)
        return source

    @staticmethod
    def work(instance: Instance, task: Task) -> Life:
        """Wait for it, its process being stopped in the middle if the instance ends."""
        instance.task = task
        yield task.done
        instance.task = None

    def _artifact(self, instance: Instance, stage: Stage) -> Artifact | None:
        if not stage.moves:
            return None
        if stage.artifact is ArtifactKind.ADAPTER:
            return instance.function.adapter if instance.function is not None else None
        return self._checkpoint(instance.backbone) if instance.pipeline is None else instance.pipeline.part_of(instance)

    def _checkpoint(self, backbone: Backbone) -> Artifact:
        found = self._checkpoints.get(backbone)
        if found is None:
            found = Artifact(ArtifactKind.BACKBONE, backbone.name, backbone.weights_bytes)
            self._checkpoints[backbone] = found
        return found

    # ------------------------------------------------------------------ shared backbones

    def _try_to_load(self, process: BackboneProcess, stage: Stage) -> Life:
        try:
            yield from self._load_backbone(process, stage)
        except simpy.Interrupt:
            if process.task is not None:
                process.task.stop()
        except WorkFailedError as error:
            process.loading = None
            self._engine.failing.backbone_lost(process, str(error))

    def _load_backbone(self, process: BackboneProcess, stage: Stage) -> Life:
        """The backbone process loads its weights once, whoever asked first; mapping them is each function's own."""
        checkpoint, node = self._checkpoint(process.backbone), process.gpu.node
        source = yield from self._nearest(checkpoint, node)
        began_s = self._env.now
        process.task = self._engine.backend.load_backbone(process, stage, checkpoint, source)
        yield process.task.done
        process.task = None
        node.cache.use(checkpoint.name, checkpoint.bytes)
        self._engine.usage.account_backbone(process)
        process.loaded = True
        now_s = self._env.now
        self._engine.happened(
            BackboneLoaded(now_s, process.backbone, process.gpu.index, now_s - began_s, process.bytes, source)
        )
        if not process.mappers:
            self._engine.idler.backbone_unmapped(process)
            self._engine.front.memory_freed(process.place.gpus)

    # ------------------------------------------------------------------ where bytes are

    def keep_whole(self, backbone: Backbone, node: Node, source: Tier) -> None:
        """All parts of a checkpoint have come to the node and been loaded from there."""
        checkpoint = self._checkpoint(backbone)
        if source is Tier.SSD:
            node.on_ssd[checkpoint.name] = None
        node.cache.use(checkpoint.name, checkpoint.bytes)

    def find(self, artifact: Artifact, instance: Instance) -> Generator[simpy.Event, Any, Tier]:
        """The nearest tier that holds it, once it has come from the remote store if need be."""
        if artifact.name in instance.host_copies:
            return Tier.HOST
        return (yield from self._nearest(artifact, instance.gpu.node))

    def _nearest(self, artifact: Artifact, node: Node) -> Generator[simpy.Event, Any, Tier]:
        """The nearest tier of the node that holds it, once it has come from the remote store if need be."""
        if (artifact.whole or artifact.name) in node.cache:
            return Tier.HOST
        if self._is_away(artifact, node):
            yield self._fetching(artifact, node)
        return Tier.SSD

    @staticmethod
    def _is_away(artifact: Artifact, node: Node) -> bool:
        """Whether it has to come to the node."""
        held = artifact.whole or artifact.name
        return held not in node.cache and not node.stores(held) and not node.stores(artifact.name)

    def _fetching(self, artifact: Artifact, node: Node) -> simpy.Process:
        """Its fetch to the node, the one under way if there is one."""
        if artifact.name not in node.fetching:
            node.fetching[artifact.name] = self._env.process(self._fetch(artifact, node))
        return node.fetching[artifact.name]

    def _fetch(self, artifact: Artifact, node: Node) -> Life:
        task = self._engine.backend.fetch(artifact, node)
        try:
            yield task.done
            node.on_ssd[artifact.name] = None
        except simpy.Interrupt:
            task.stop()
        del node.fetching[artifact.name]
