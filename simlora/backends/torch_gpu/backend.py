"""The torch back-end: what the engine orders, done by processes, on the wall clock."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

from simlora.backends.base import Lost, PrefillChunk, Task
from simlora.backends.decoding import Decoding
from simlora.backends.torch_gpu.page_cache import out_of_cache
from simlora.backends.torch_gpu.process import Worker
from simlora.backends.torch_gpu.tasks import TorchRun, Work
from simlora.clock import WallClock
from simlora.cluster.hardware import Gpu, Node
from simlora.cluster.processes import BackboneProcess, Instance
from simlora.entities import Artifact, ArtifactKind, Backbone, Function, QueuedRequest, Tier
from simlora.latency.engines import Stage

LIMIT_S = 300.0
"""No stage, load or run may take longer; a process that does is killed (assumption: limit of work)."""


STAGES: Mapping[ArtifactKind | None, str] = {
    ArtifactKind.CONTAINER: "interpreter",
    ArtifactKind.LIBRARY: "library",
    ArtifactKind.CONTEXT: "context",
    ArtifactKind.KERNELS: "kernels",
    None: "first_run",
}
"""What a process is asked for a stage that moves nothing."""


class TorchBackend:
    """Implements :class:`simlora.backends.base.Backend`.

    ``models`` and ``adapters`` name the folders of backbones and of functions' adapters; ``device_of`` the torch device
    of a GPU by its index. ``host_copies``: what was loaded stays in the page cache.
    """

    def __init__(
        self,
        env: WallClock,
        *,
        output_tokens: Sequence[int],
        models: Mapping[Backbone, Path],
        adapters: Mapping[Function, Path],
        device_of: Callable[[int], str],
        batch_ends_as_one: bool,
        host_copies: bool = True,
    ):
        self._env = env
        self._output_tokens = output_tokens
        self._models = models
        self._adapters = adapters
        self._device_of = device_of
        self._as_one = batch_ends_as_one
        self._host_copies = host_copies
        self._workers: dict[int, Worker] = {}
        self._backbones: dict[int, Worker] = {}
        self._ready: dict[tuple[int, Backbone], Worker] = {}
        self._produced: dict[int, int] = {}
        self._decoding: dict[int, Decoding] = {}
        self._gone: dict[int, list[int]] = {}
        self.steps = 0
        self.runs = 0

    # ------------------------------------------------------------------ failures

    def report_to(self, lost: Lost) -> None:
        self._lost = lost

    def _watch(self, worker: Worker, holder: Instance | BackboneProcess) -> None:
        """Have it told when the process ends, unless it was told to."""
        gone = self._env.when_done(worker.gone, awaited=False)
        gone.callbacks.append(lambda event: self._lost(holder, event.value))

    def spoil(self, function: Function, loads: int | None) -> None:
        """Here a file is corrupt if it is."""
        raise NotImplementedError("failures by scenario")

    # ------------------------------------------------------------------ cold start and loads

    def stage(self, instance: Instance, stage: Stage, artifact: Artifact | None, source: Tier | None) -> Task:
        return Work(self._env, self._asked(instance, stage, artifact is None, source))

    def stand(self, instance: Instance, stages: Sequence[Stage]) -> None:
        for stage in stages:
            self._asked(instance, stage, False, Tier.SSD).result()
        self._env.begin()

    def _asked(self, instance: Instance, stage: Stage, shared: bool, source: Tier | None) -> Future[Any]:
        """Its process is asked for a stage; ``shared``: the backbone is there, and mapped."""
        worker = self._worker(instance)
        if stage.artifact is ArtifactKind.BACKBONE:
            if shared:
                return self._map(instance, worker)
            self._load(worker, instance.backbone, source)
            return worker.ask("build", LIMIT_S)
        if stage.artifact is ArtifactKind.ADAPTER:
            return self._adapter(worker, instance.function)
        return worker.ask(STAGES[stage.artifact], LIMIT_S)

    def _load(self, worker: Worker, backbone: Backbone, source: Tier | None) -> Future[Any]:
        """The weights into a process; they leave the page cache behind it where the system keeps no host copies."""
        folder = self._folder(backbone)
        return worker.ask("load", LIMIT_S, folder=folder, cold=source is not Tier.HOST, stays=self._host_copies)

    def load_backbone(self, process: BackboneProcess, stage: Stage, checkpoint: Artifact, source: Tier) -> Task:
        place = process.gpu.index, process.backbone
        worker = self._ready.pop(place) if place in self._ready else self._holder(*place)
        self._backbones[process.id] = worker
        self._watch(worker, process)
        return Work(self._env, self._load(worker, process.backbone, source))

    def prepare(self, gpus: Sequence[Gpu], backbones: Collection[Backbone]) -> None:
        """Processes that can hold these backbones, up before the clock begins, as the profile takes them to be."""
        for folder in self._models.values():
            out_of_cache(folder)
        self._ready = {(gpu.index, b): self._holder(gpu.index, b) for gpu in gpus for b in backbones}
        for worker in self._ready.values():
            worker.ask("interpreter", LIMIT_S).result()
        self._env.begin()

    def _holder(self, gpu: int, backbone: Backbone) -> Worker:
        worker = Worker(self._device_of(gpu), f"{backbone.name} on GPU {gpu}")
        for step in ("library", "context"):
            worker.ask(step, LIMIT_S)
        return worker

    def _map(self, instance: Instance, worker: Worker) -> Future[Any]:
        """The shared weights into a function's process: handles from the one that holds them, then the mapping."""
        holder = self._backbones[instance.gpu.backbones[instance.backbone].id]
        mapped: Future[Any] = Future()

        def pass_on(exported: Future[bytes]) -> None:
            if failure := exported.exception():
                mapped.set_exception(failure)
                return
            how = {"folder": self._folder(instance.backbone), "handles": exported.result()}
            worker.ask("map", LIMIT_S, **how).add_done_callback(partial(_copy_outcome, mapped))

        holder.ask("export", LIMIT_S).add_done_callback(pass_on)
        return mapped

    def load_adapter(self, instance: Instance, function: Function, source: Tier) -> Task:
        return Work(self._env, self._adapter(self._worker(instance), function))

    def _adapter(self, worker: Worker, function: Function | None) -> Future[Any]:
        """A process for many functions has none of its own to load: it only answers."""
        if function is None:
            return worker.ask("interpreter", LIMIT_S)
        return worker.ask("adapter", LIMIT_S, name=function.id, folder=str(self._adapters[function]))

    def serve_alone(self, instance: Instance) -> None:
        """There is one node here, and hence no pipeline."""
        raise NotImplementedError("a pipeline")

    def fetch(self, artifact: Artifact, node: Node) -> Task:
        """There is no remote store here: every file is on the machine (the cluster says so)."""
        raise NotImplementedError("a remote store")

    def _worker(self, instance: Instance) -> Worker:
        worker = self._workers.get(instance.id)
        if worker is None:
            worker = self._workers[instance.id] = Worker(self._device_of(instance.gpu.index), repr(instance))
            self._watch(worker, instance)
        return worker

    def _folder(self, backbone: Backbone) -> str:
        return str(self._models[backbone])

    # ------------------------------------------------------------------ steps

    def _decoding_of(self, instance: Instance) -> Decoding:
        decoding = self._decoding.get(instance.id)
        if decoding is None:
            decoding = self._decoding[instance.id] = Decoding(self._output_tokens, self._as_one, self._produced)
        return decoding

    def run(self, instance: Instance, prefill: Sequence[PrefillChunk], at_most: int) -> TorchRun:
        decoding = self._decoding_of(instance)
        chunks = [(c.request.index, c.request.function.id, c.tokens, c.past, c.last) for c in prefill]
        steps = max(1, min(at_most, decoding.steps_ahead(prefill)))
        self.runs += 1
        self.steps += steps
        how = {"number": self.runs, "chunks": chunks, "gone": self._gone.pop(instance.id, []), "at_most": steps}
        worker = self._worker(instance)
        future = worker.ask("run", LIMIT_S, **how)
        return TorchRun(self._env, worker, self.runs, decoding, prefill, steps, future)

    def set_mode(self, instance: Instance, merged: Function | None) -> Task:
        self._decoding_of(instance).serve_only(merged)
        name = None if merged is None else merged.id
        return Work(self._env, self._worker(instance).ask("set_mode", LIMIT_S, adapter=name))

    def leave(self, instance: Instance, request: QueuedRequest) -> None:
        self._decoding[instance.id].leave(request)
        self._gone.setdefault(instance.id, []).append(request.index)

    def forget(self, request: QueuedRequest) -> None:
        self._produced.pop(request.index, None)

    # ------------------------------------------------------------------ what leaves

    def drop(self, instance: Instance, stages: Sequence[Stage]) -> None:
        """Weights and adapters; libraries and the device context stay as long as the process."""
        worker, left = self._worker(instance), [stage.artifact for stage in stages]
        if ArtifactKind.BACKBONE in left:
            worker.ask("drop_backbone", LIMIT_S)
        elif ArtifactKind.ADAPTER in left and instance.function is not None:
            worker.ask("drop_adapter", LIMIT_S, name=instance.function.id)

    def end(self, instance: Instance) -> None:
        self._decoding.pop(instance.id, None)
        self._gone.pop(instance.id, None)
        if worker := self._workers.pop(instance.id, None):
            worker.end()

    def end_backbone(self, process: BackboneProcess) -> None:
        if worker := self._backbones.pop(process.id, None):
            worker.end()

    def close(self) -> None:
        """End every process that is left; none survives this."""
        for worker in (*self._workers.values(), *self._backbones.values(), *self._ready.values()):
            worker.kill()


def _copy_outcome(to: Future[Any], done: Future[Any]) -> None:
    if failure := done.exception():
        to.set_exception(failure)
    else:
        to.set_result(done.result())
