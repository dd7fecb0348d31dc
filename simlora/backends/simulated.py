"""The simulated back-end: durations from a latency profile, GPUs and links shared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import simpy

from simlora.backends.base import PrefillChunk, Task
from simlora.backends.decoding import Decoding
from simlora.backends.draws import spread
from simlora.backends.gpu_clock import GpuClock
from simlora.backends.segments import SimulatedRun, StepModel
from simlora.cluster.hardware import Gpu, Node
from simlora.cluster.links import Link, Transfer
from simlora.cluster.processes import BackboneProcess, Instance
from simlora.entities import Artifact, ArtifactKind, Function, QueuedRequest, Tier
from simlora.latency.contention import Contention
from simlora.latency.engines import Stage
from simlora.latency.loaders import Loader


class Pause:
    """Fixed seconds: implements :class:`simlora.backends.base.Task`."""

    __slots__ = ("done",)

    def __init__(self, env: simpy.Environment, seconds: float):
        self.done: simpy.Event = env.timeout(seconds, seconds)

    def stop(self) -> None:
        """Nobody waits for it any more."""


class Move:
    """Fixed seconds, then bytes over links: implements :class:`simlora.backends.base.Task`."""

    __slots__ = ("_began_s", "_env", "_stopped", "_transfer", "done")

    def __init__(
        self, env: simpy.Environment, fixed_s: float, size_bytes: int, links: Sequence[Link], cap_per_s: float
    ):
        self._env = env
        self._began_s = env.now
        self._stopped = False
        self._transfer: Transfer | None = None
        self.done = env.event()
        env.timeout(fixed_s).callbacks.append(partial(self._begin, size_bytes, links, cap_per_s))

    def _begin(self, size_bytes: int, links: Sequence[Link], cap_per_s: float, timer: simpy.Event) -> None:
        if not self._stopped:
            self._transfer = Transfer(self._env, size_bytes, links, cap_per_s, self._arrived)

    def _arrived(self) -> None:
        self.done.succeed(self._env.now - self._began_s)

    def stop(self) -> None:
        self._stopped = True
        if self._transfer is not None and not self.done.triggered:
            self._transfer.stop()


class SimulatedBackend:
    """Implements :class:`simlora.backends.base.Backend` in virtual time.

    ``output_tokens[i]`` is what request ``i`` will produce; ``model_of`` gives the clock of an instance's steps. Stage
    durations are drawn by (seed, function, its how-many-eth start, stage), so every system meets the same luck.
    """

    def __init__(
        self,
        env: simpy.Environment,
        gpus: Sequence[Gpu],
        *,
        output_tokens: Sequence[int],
        model_of: Callable[[Instance], StepModel],
        loader: Loader,
        adapter_loader: Loader,
        contention: Contention,
        batch_ends_as_one: bool,
        seed: int,
        assists: bool = False,
        prefill_alone: bool = False,
        stepwise: bool = False,
    ):
        self._env = env
        self._output_tokens = output_tokens
        self._model_of = model_of
        self._loaders = {ArtifactKind.BACKBONE: loader, ArtifactKind.ADAPTER: adapter_loader}
        self._as_one = batch_ends_as_one
        self._assists = assists
        self._prefill_alone = prefill_alone
        self._seed = seed
        self._clocks = [GpuClock(env, contention, stepwise) for _ in gpus]
        self._produced: dict[int, int] = {}
        self._batches: dict[int, tuple[StepModel, Decoding]] = {}
        self.steps = 0
        self.runs = 0

    # ------------------------------------------------------------------ cold start and loads

    def stage(self, instance: Instance, stage: Stage, artifact: Artifact | None, source: Tier | None) -> Task:
        name = instance.function.id if instance.function is not None else instance.backbone.name
        fixed_s = stage.seconds * spread(stage.sigma, self._seed, name, instance.ordinal, stage.name)
        if artifact is None or source is None:
            if stage.shared_s is not None and stage.moves:
                fixed_s = stage.shared_s
            return Pause(self._env, fixed_s)
        return self._load(artifact, source, instance.gpu, fixed_s)

    def load_backbone(self, process: BackboneProcess, stage: Stage, checkpoint: Artifact, source: Tier) -> Move:
        return self._load(checkpoint, source, process.gpu, stage.seconds)

    def load_adapter(self, instance: Instance, function: Function, source: Tier) -> Move:
        return self._load(function.adapter, source, instance.gpu, 0.0)

    def fetch(self, artifact: Artifact, node: Node) -> Move:
        path = self._loaders[artifact.kind].between(Tier.REMOTE, Tier.SSD)
        return self._move(artifact, (node.remote,), path.bytes_per_s, path.fixed_s)

    def _load(self, artifact: Artifact, source: Tier, gpu: Gpu, fixed_s: float) -> Move:
        path = self._loaders[artifact.kind].between(source, Tier.DEVICE)
        # An adapter's file is small and read between those of checkpoints: it neither queues for storage nor slows it.
        reads = source is Tier.SSD and artifact.kind is ArtifactKind.BACKBONE
        links = (gpu.node.storage, gpu.bus) if reads else (gpu.bus,)
        return self._move(artifact, links, path.bytes_per_s, fixed_s + path.fixed_s)

    def _move(self, artifact: Artifact, links: Sequence[Link], cap_per_s: float, fixed_s: float) -> Move:
        return Move(self._env, fixed_s, artifact.bytes, links, cap_per_s)

    # ------------------------------------------------------------------ steps

    def _batch(self, instance: Instance) -> tuple[StepModel, Decoding]:
        batch = self._batches.get(instance.id)
        if batch is None:
            decoding = Decoding(self._output_tokens, self._as_one, self._produced, self._prefill_alone)
            batch = self._model_of(instance), decoding
            self._batches[instance.id] = batch
        return batch

    def set_mode(self, instance: Instance, merged: Function | None) -> Pause:
        model, decoding = self._batch(instance)
        decoding.serve_only(merged)
        switches = (instance.merged is not None) + (merged is not None)
        return Pause(self._env, switches * model.switch_s)

    def run(self, instance: Instance, prefill: Sequence[PrefillChunk], at_most: int) -> SimulatedRun:
        batch = self._batch(instance)
        adapters, rank = _adapters_in_use(instance)
        assisted = self._assists and any(instance.adapters[function] for function in instance.loading)
        run = SimulatedRun(self._env, *batch, prefill, at_most, adapters, rank, assisted)
        run.start(self._clocks[instance.gpu.index], self._count)
        return run

    def _count(self, steps: int) -> None:
        self.steps += steps
        self.runs += 1

    def leave(self, instance: Instance, request: QueuedRequest) -> None:
        self._batches[instance.id][1].leave(request)

    def end(self, instance: Instance) -> None:
        self._batches.pop(instance.id, None)

    def end_backbone(self, process: BackboneProcess) -> None:
        """In virtual time nothing is left of it."""


def _adapters_in_use(instance: Instance) -> tuple[int, int]:
    """Distinct adapters of the running batch that are applied beside the weights, and their largest rank."""
    function = instance.function
    if instance.merged is not None:
        return 0, 0
    if function is not None:
        return 1, function.rank
    ranks = instance.ranks_in_use
    return sum(ranks.values()), max(ranks, default=0)
