"""The simulated back-end: durations from a latency profile, GPUs and links shared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import simpy

from simlora.backends.base import Lost, PrefillChunk, Task, WorkFailedError
from simlora.backends.decoding import Decoding
from simlora.backends.draws import spread
from simlora.backends.gpu_clock import GpuClock
from simlora.backends.in_parts import InParts
from simlora.backends.joint_clock import JointClock, RelayClock
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
    """Fixed seconds, then as many bytes over each of some ways: implements :class:`simlora.backends.base.Task`.

    With a ``fault`` it fails when the last byte has arrived.
    """

    __slots__ = ("_began_s", "_env", "_fault", "_stopped", "_under_way", "done")

    def __init__(
        self,
        env: simpy.Environment,
        fixed_s: float,
        size_bytes: int,
        ways: Sequence[Sequence[Link]],
        cap_per_s: float,
        fault: str = "",
    ):
        self._env = env
        self._fault = fault
        self._began_s = env.now
        self._stopped = False
        self._under_way: dict[int, Transfer] = {}
        self.done = env.event()
        env.timeout(fixed_s).callbacks.append(partial(self._begin, size_bytes, ways, cap_per_s))

    def _begin(self, size_bytes: int, ways: Sequence[Sequence[Link]], cap_per_s: float, timer: simpy.Event) -> None:
        if not self._stopped:
            for at, links in enumerate(ways):
                arrived = partial(self._arrived, at)
                self._under_way[at] = Transfer(self._env, size_bytes, links, cap_per_s, arrived)

    def _arrived(self, at: int) -> None:
        del self._under_way[at]
        if self._under_way:
            return
        if self._fault:
            self.done.fail(WorkFailedError(self._fault))
        else:
            self.done.succeed(self._env.now - self._began_s)

    def stop(self) -> None:
        self.done.defused = True
        self._stopped = True
        for transfer in self._under_way.values():
            transfer.stop()


class SimulatedBackend:
    """Implements :class:`simlora.backends.base.Backend` in virtual time.

    ``output_tokens[i]`` is what request ``i`` will produce; ``model_of`` gives the clock of an instance's steps, which
    take ``hop_s`` more for each further node that they go over. Stage
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
        hop_s: float = 0.0,
        stepwise: bool = False,
    ):
        self._env = env
        self._output_tokens = output_tokens
        self._model_of = model_of
        self._loaders = {ArtifactKind.BACKBONE: loader, ArtifactKind.ADAPTER: adapter_loader}
        self._as_one = batch_ends_as_one
        self._assists = assists
        self._prefill_alone = prefill_alone
        self._hop_s = hop_s
        self._seed = seed
        self._clocks = [GpuClock(env, contention, stepwise) for _ in gpus]
        self._produced: dict[int, int] = {}
        self._contention = contention
        self._stepwise = stepwise
        self._batches: dict[int, tuple[StepModel, Decoding, GpuClock]] = {}
        self._spoilt: dict[str, int | None] = {}
        self.steps = 0
        self.runs = 0

    # ------------------------------------------------------------------ failures

    def report_to(self, lost: Lost) -> None:
        """Processes end when the engine or a scenario says so."""

    def spoil(self, function: Function, loads: int | None) -> None:
        self._spoilt[function.adapter.name] = loads

    def _fault(self, artifact: Artifact) -> str:
        """What is wrong with this load, if anything."""
        left = self._spoilt.get(artifact.name, 0) if artifact.kind is ArtifactKind.ADAPTER else 0
        if left == 0:
            return ""
        self._spoilt[artifact.name] = None if left is None else left - 1
        return f"the adapter of {artifact.name} is corrupt"

    # ------------------------------------------------------------------ cold start and loads

    def stage(self, instance: Instance, stage: Stage, artifact: Artifact | None, source: Tier | None) -> Task:
        name = instance.function.id if instance.function is not None else instance.backbone.name
        fixed_s = stage.seconds * spread(stage.sigma, self._seed, name, instance.ordinal, stage.name)
        if artifact is None or source is None:
            if stage.shared_s is not None and stage.moves:
                fixed_s = stage.shared_s
            return Pause(self._env, fixed_s)
        return self._load(artifact, source, instance.gpus, fixed_s)

    def stand(self, instance: Instance, stages: Sequence[Stage]) -> None:
        """In virtual time it is up."""

    def load_backbone(self, process: BackboneProcess, stage: Stage, checkpoint: Artifact, source: Tier) -> Move:
        return self._load(checkpoint, source, process.place.gpus, stage.seconds)

    def load_adapter(self, instance: Instance, function: Function, source: Tier) -> Move:
        return self._load(function.adapter, source, instance.gpus, 0.0)

    def fetch(self, artifact: Artifact, node: Node) -> Move:
        path = self._loaders[artifact.kind].between(Tier.REMOTE, Tier.SSD)
        return Move(self._env, path.fixed_s, artifact.bytes, [(node.remote,)], path.bytes_per_s)

    def _load(self, artifact: Artifact, source: Tier, gpus: Sequence[Gpu], fixed_s: float) -> Move:
        """A checkpoint in equal parts, an adapter whole to each GPU."""
        path = self._loaders[artifact.kind].between(source, Tier.DEVICE)
        whole = artifact.kind is not ArtifactKind.BACKBONE
        # An adapter's file is small and read between those of checkpoints: it neither queues for storage nor slows it.
        reads = source is Tier.SSD and not whole
        ways = [(gpu.node.storage, gpu.bus) if reads else (gpu.bus,) for gpu in gpus]
        size_bytes = artifact.bytes if whole else -(-artifact.bytes // len(gpus))
        fault = self._fault(artifact) if self._spoilt else ""
        return Move(self._env, fixed_s + path.fixed_s, size_bytes, ways, path.bytes_per_s, fault)

    # ------------------------------------------------------------------ steps

    def _batch(self, instance: Instance) -> tuple[StepModel, Decoding, GpuClock]:
        batch = self._batches.get(instance.id)
        if batch is None:
            decoding = Decoding(self._output_tokens, self._as_one, self._produced, self._prefill_alone)
            batch = self._batches[instance.id] = self._model(instance), decoding, self._clock(instance)
        return batch

    def _model(self, instance: Instance) -> StepModel:
        model = self._model_of(instance)
        return model if instance.pipeline is None else InParts(model, len(instance.pipeline.helpers) * self._hop_s)

    def _clock(self, instance: Instance) -> GpuClock:
        first, *others = (self._clocks[gpu.index] for gpu in instance.step_gpus)
        if not others:
            return first
        joint = JointClock if instance.pipeline is None else RelayClock
        return joint(self._env, self._contention, self._stepwise, [first, *others])

    def serve_alone(self, instance: Instance) -> None:
        if instance.id in self._batches:
            decoding = self._batches[instance.id][1]
            self._batches[instance.id] = self._model(instance), decoding, self._clock(instance)

    def set_mode(self, instance: Instance, merged: Function | None) -> Pause:
        model, decoding, _ = self._batch(instance)
        decoding.serve_only(merged)
        switches = (instance.merged is not None) + (merged is not None)
        return Pause(self._env, switches * model.switch_s)

    def run(self, instance: Instance, prefill: Sequence[PrefillChunk], at_most: int) -> SimulatedRun:
        model, decoding, clock = self._batch(instance)
        adapters, rank = _adapters_in_use(instance)
        assisted = self._assists and any(instance.adapters[function] for function in instance.loading)
        run = SimulatedRun(self._env, model, decoding, prefill, at_most, adapters, rank, assisted)
        run.start(clock, self._count)
        return run

    def _count(self, steps: int) -> None:
        self.steps += steps
        self.runs += 1

    def leave(self, instance: Instance, request: QueuedRequest) -> None:
        self._batches[instance.id][1].leave(request)

    def forget(self, request: QueuedRequest) -> None:
        self._produced.pop(request.index, None)

    def drop(self, instance: Instance, stages: Sequence[Stage]) -> None:
        """It takes no time (assumption A25)."""

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
