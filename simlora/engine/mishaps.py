"""The failures of a scenario: each comes at its time, or at its rate, and strikes what is there then."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from math import prod
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

import simpy

from simlora.cluster.failures import Failure
from simlora.cluster.hardware import Gpu
from simlora.events import StoreChanged
from simlora.views import InstanceState
from simlora.workload.workload import stream

if TYPE_CHECKING:
    import numpy as np

    from simlora.engine.engine import Engine

T = TypeVar("T")
BUSY, STARTING = InstanceState.BUSY, InstanceState.STARTING
DURING = {"batch": (BUSY,), "start": (STARTING,), None: (BUSY, STARTING)}
STILL_S = 3_600.0
"""After so long without movement further failures would only keep the clock of a run busy that has no end."""


class Mishaps:
    """One SimPy process a failure, as long as requests move that have not ended.

    When it strikes, and whom of several, is drawn without a look at the system.
    """

    def __init__(self, engine: Engine, failures: Sequence[Failure], seed: int):
        self._engine = engine
        self._env = engine.env
        self._cluster = engine.cluster
        self._remote_per_s = {node.index: node.remote.bytes_per_s for node in engine.cluster.every_node}
        self._factors: list[float] = []
        self._to_come_back = 0
        strikes = {
            "gpu": self._gpu,
            "node": self._node,
            "worker": self._worker,
            "backbone": self._backbone,
            "adapter": self._adapter,
            "remote": self._remote,
        }
        for index, failure in enumerate(failures):
            rng = stream(seed, "failure", index)
            self._env.process(self._life(failure, rng, strikes[failure.what]))

    def _life(
        self, failure: Failure, rng: np.random.Generator, strike: Callable[[Failure, float], None]
    ) -> Generator[simpy.Event, Any, None]:
        moved_s = 0.0
        for wait_s in _waits(failure, rng):
            luck = rng.random()
            yield self._env.timeout(wait_s)
            if not self._all_stands_still():
                moved_s = self._env.now
            if not self._engine.unresolved or self._env.now - moved_s > STILL_S:
                return
            strike(failure, luck)

    def _all_stands_still(self) -> bool:
        """Whether all that have not ended wait at the front end, nothing runs or starts, and nothing will come back."""
        waiting = len(self._cluster.front) + len(self._cluster.held_back)
        if self._to_come_back or waiting < self._engine.unresolved:
            return False
        return not any(i.state in DURING[None] for gpu in self._cluster.gpus for i in gpu.instances.values())

    def _after(self, failure: Failure, undo: Callable[[], None]) -> None:
        if failure.for_s is None:
            return

        def come_back(_: simpy.Event) -> None:
            self._to_come_back -= 1
            undo()

        self._to_come_back += 1
        self._env.timeout(failure.for_s).callbacks.append(come_back)

    # ------------------------------------------------------------------ machines

    def _gpu(self, failure: Failure, luck: float) -> None:
        gpus = self._cluster.gpus if failure.gpu is None else self._cluster.every_gpu[failure.gpu :][:1]
        self._lose(_one_of(gpus, luck), failure, "the GPU is lost")

    def _node(self, failure: Failure, luck: float) -> None:
        nodes = self._cluster.nodes if failure.node is None else self._cluster.every_node[failure.node :][:1]
        for node in _one_of(nodes, luck):
            why = f"node {node.index} is lost"
            self._lose([gpu for gpu in self._cluster.every_gpu if gpu.node is node], failure, why)
            self._engine.failing.host_lost(node)

    def _lose(self, gpus: Sequence[Gpu], failure: Failure, why: str) -> None:
        failing = self._engine.failing
        for gpu in gpus:
            failing.gpu_lost(gpu, why)
            self._after(failure, partial(failing.gpu_returned, gpu))

    def _remote(self, failure: Failure, luck: float) -> None:
        factor = failure.factor or 0.0
        self._factors.append(factor)
        self._set_remote()
        self._after(failure, partial(self._no_longer, factor))

    def _no_longer(self, factor: float) -> None:
        self._factors.remove(factor)
        self._set_remote()

    def _set_remote(self) -> None:
        factor = prod(sorted(self._factors))
        for node in self._cluster.every_node:
            node.remote.set_rate(self._remote_per_s[node.index] * factor)
        self._engine.failing.happened(StoreChanged(self._env.now, factor))

    # ------------------------------------------------------------------ processes and files

    def _worker(self, failure: Failure, luck: float) -> None:
        states = DURING[failure.during]
        served = [function for function in self._cluster.functions if failure.function in (None, function.id)]
        there = {instance.id: instance for gpu in self._cluster.gpus for instance in gpu.instances.values()}
        at_work = [
            i for i in there.values() if i.state in states and (i.function in served or any(map(i.serves, served)))
        ]
        for instance in _one_of(sorted(at_work, key=attrgetter("id")), luck):
            self._engine.failing.instance_lost(instance, "its process crashed")

    def _backbone(self, failure: Failure, luck: float) -> None:
        gpus = [gpu for gpu in self._cluster.gpus if failure.gpu in (None, gpu.index)]
        there = {process.id: process for gpu in gpus for process in gpu.backbones.values()}
        for process in _one_of(list(there.values()), luck):
            self._engine.failing.backbone_lost(process, f"the process of {process} crashed")

    def _adapter(self, failure: Failure, luck: float) -> None:
        named = [function for function in self._cluster.functions if failure.function in (None, function.id)]
        for function in _one_of(named, luck):
            self._engine.backend.spoil(function, 1 if failure.once else None)
            self._after(failure, partial(self._engine.backend.spoil, function, 0))


def _waits(failure: Failure, rng: np.random.Generator) -> Iterator[float]:
    """From the start to its time, or from each time to the next."""
    if failure.at_s is not None:
        yield failure.at_s
    while failure.rate_per_hour is not None:
        yield rng.exponential(3_600.0 / failure.rate_per_hour)


def _one_of(found: Sequence[T], luck: float) -> Sequence[T]:
    """The one that ``luck`` in [0, 1) picks, or none where there is none."""
    return [found[int(luck * len(found))]] if found else []
