"""Pipelines: helpers load and run parts of an instance's model until it has gathered the whole of it.

A helper is a process of the same function on another node. It goes through every stage with its part of what is
loaded, serves no requests of its own, and ends when the instance has the whole model, or ends itself. Whatever befalls
a helper befalls the instance.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

import simpy

from simlora.backends.base import WorkFailedError
from simlora.cluster.hardware import Place
from simlora.cluster.pipelines import Pipeline
from simlora.cluster.processes import Instance
from simlora.entities import ArtifactKind, Function, QueuedRequest
from simlora.events import PipelineFormed, PipelineGathered
from simlora.views import InstanceState

if TYPE_CHECKING:
    from simlora.engine.engine import Engine

Life = Generator[simpy.Event, Any, None]


class Pipelines:
    """Forms pipelines, gathers their models and dissolves them."""

    def __init__(self, engine: Engine):
        self._engine = engine
        self._env = engine.env
        self._cluster = engine.cluster
        self._reservations = engine.reservations
        startup = engine.estimates.profile.startup
        self._stage = next(stage for stage in startup if stage.artifact is ArtifactKind.BACKBONE)

    # ------------------------------------------------------------------ form

    def make_room(self, function: Function, places: Sequence[Place], work: Sequence[QueuedRequest]) -> bool:
        """Whether a helper's stages and its share of KV fit at each of these places, evicting if need be."""
        stages, parts = list(self._reservations.missing(())), len(places) + 1
        return all(
            self._reservations.make_room(function, function.backbone, None, place, stages, work, None, parts)
            for place in places
        )

    def form(self, main: Instance, places: Sequence[Place]) -> None:
        """Helpers for an instance that has nothing reserved yet; they begin at once."""
        engine, pipeline = self._engine, Pipeline(main)
        main.pipeline = pipeline
        where = main.id, main.function, main.gpu.index
        engine.happened(PipelineFormed(self._env.now, *where, tuple(place.gpu.index for place in places)))
        for place in places:
            why = f"runs a part for {main}"
            helper = engine.starter.create(
                main.function, main.backbone, place, None, pipeline, on_demand=False, why=why
            )
            pipeline.helpers.append(helper)
        for helper in pipeline.helpers:
            self._reservations.take(helper, list(self._reservations.missing(())), ())
            helper.process = self._env.process(self._life(helper))
            pipeline.starts.append(helper.process)

    def _life(self, helper: Instance) -> Life:
        try:
            yield from self._engine.start_up.bring_up(helper)
        except simpy.Interrupt:
            if helper.task is not None:
                helper.task.stop()
        except WorkFailedError as error:
            helper.process = None
            self._engine.failing.instance_lost(helper, str(error))

    def join(self, main: Instance) -> Life:
        """Wait until every helper is up; from then on the rest of the model comes to the instance."""
        pipeline = main.pipeline
        if pipeline is not None:
            yield from pipeline.starts
            if pipeline.gathering is None:
                pipeline.gathering = self._env.process(self._gather(pipeline))

    def has_room(self, main: Instance, work: Sequence[QueuedRequest]) -> bool:
        """Whether the helpers have room for the KV of more work, or at least of its first request."""
        pipeline = main.pipeline
        return pipeline is None or all(
            self._reservations.make_room(
                main.function, main.backbone, helper.container, helper.place, (), work, helper, pipeline.parts
            )
            for helper in pipeline.helpers
        )

    # ------------------------------------------------------------------ gather

    def _gather(self, pipeline: Pipeline) -> Life:
        """The rest is fetched and loaded beside the steps that run."""
        main, rest, began_s = pipeline.main, pipeline.rest, self._env.now
        try:
            source = yield from self._engine.start_up.find(rest, main)
            pipeline.task = self._engine.backend.stage(main, self._stage, rest, source)
            yield pipeline.task.done
        except simpy.Interrupt:
            if pipeline.task is not None:
                pipeline.task.stop()
            return
        except WorkFailedError as error:
            pipeline.gathering = None
            self._engine.failing.instance_lost(main, str(error))
            return
        self._engine.start_up.keep_whole(main.backbone, main.gpu.node, source)
        seconds = self._env.now - began_s
        where = main.id, main.function, main.gpu.index
        self._engine.happened(PipelineGathered(self._env.now, *where, seconds, rest.bytes, source, pipeline.parts))
        pipeline.gathered = True
        if main.run is None:
            self.serve_alone(pipeline)
        else:
            self._engine.server.rouse(main)

    def serve_alone(self, pipeline: Pipeline) -> None:
        """Its instance has gathered the model, and no step is under way: the helpers end."""
        main = pipeline.main
        self._engine.usage.account(main)
        if main.state is InstanceState.BUSY:
            for helper in pipeline.helpers:
                helper.gpu.active_batches -= 1
        self._let_go(pipeline, f"{main} has the whole model")
        self._engine.backend.serve_alone(main)
        self._engine.front.memory_freed(main.gpus)

    def dissolve(self, pipeline: Pipeline, why: str) -> None:
        """Its instance ends, or gives the model up, usage being accounted for; no batch of it runs."""
        if pipeline.gathering is not None and pipeline.gathering.is_alive:
            pipeline.gathering.interrupt()
        self._let_go(pipeline, why)

    def _let_go(self, pipeline: Pipeline, why: str) -> None:
        pipeline.main.pipeline = None
        pipeline.drop_kv()
        for helper in pipeline.helpers:
            self._engine.starter.end(helper, why)
            self._cluster.remove_container(helper.container)
