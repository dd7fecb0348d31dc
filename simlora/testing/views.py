"""Frozen views: what a policy sees of a cluster at one instant, as values that it cannot change."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from simlora.entities import ArtifactKind, Backbone, Function, QueuedRequest, Tier
from simlora.views import InstanceState


@dataclass(frozen=True, eq=False, repr=False)
class FrozenQueues:
    """Requests that wait, by function."""

    by_function: Mapping[Function, deque[QueuedRequest]]

    def in_order(self) -> Iterator[QueuedRequest]:
        return iter(sorted((r for queue in self.by_function.values() for r in queue), key=lambda r: r.index))

    def __len__(self) -> int:
        return sum(map(len, self.by_function.values()))

    def __repr__(self) -> str:
        return f"<queues {[request.index for request in self.in_order()]}>"


NOTHING_WAITS = FrozenQueues(MappingProxyType({}))


@dataclass(frozen=True, eq=False)
class FrozenRunning:
    """A request in a running batch."""

    request: QueuedRequest
    context_tokens: int
    prefill_left: int = 0


@dataclass(frozen=True, eq=False, repr=False)
class FrozenNode:
    """A host."""

    index: int
    gpus: Sequence[FrozenGpu]
    storage_wait_s: float = 0.0
    cached: frozenset[str] = frozenset()
    fetch_per_s: float = 1e9
    has_all: bool = True

    def caches(self, checkpoint: str) -> bool:
        return checkpoint in self.cached

    def stores(self, artifact: str) -> bool:
        return self.has_all

    def __repr__(self) -> str:
        return f"<node {self.index}>"


@dataclass(frozen=True, eq=False, repr=False)
class FrozenGpu:
    """A GPU; what is free follows from who is on it."""

    index: int
    node: FrozenNode
    capacity_bytes: int
    instances: Mapping[int, FrozenInstance]
    backbones: Mapping[Backbone, FrozenBackbone]
    containers: Mapping[int, FrozenContainer]
    switch: list[FrozenGpu]
    reserved: bool = False
    kind: str = "l40s"

    @property
    def neighbours(self) -> Sequence[FrozenGpu]:
        return [gpu for gpu in self.switch if gpu is not self]

    @property
    def free_bytes(self) -> int:
        held = sum(i.device_bytes for i in self.instances.values())
        return self.capacity_bytes - held - sum(b.bytes for b in self.backbones.values())

    @property
    def active_batches(self) -> int:
        return sum(i.state is InstanceState.BUSY for i in self.instances.values())

    def __repr__(self) -> str:
        return f"<GPU {self.index}>"


@dataclass(frozen=True, eq=False)
class FrozenBackbone:
    """A backbone process."""

    backbone: Backbone
    bytes: int
    loaded: bool
    mappers: Mapping[int, FrozenInstance] = field(repr=False)

    @property
    def mapped_by(self) -> int:
        return len(self.mappers)

    @property
    def in_use(self) -> bool:
        return any(i.state is not InstanceState.IDLE or i.bound for i in self.mappers.values())


@dataclass(frozen=True, eq=False)
class FrozenPlace:
    """A GPU, or several of one node."""

    gpus: Sequence[FrozenGpu]

    @property
    def gpu(self) -> FrozenGpu:
        return self.gpus[0]


@dataclass(frozen=True, eq=False, repr=False)
class FrozenContainer:
    """A sandbox with a view of one GPU, or of several."""

    id: int
    gpus: Sequence[FrozenGpu]
    free_bytes: int
    instances: Mapping[int, FrozenInstance]

    @property
    def gpu(self) -> FrozenGpu:
        return self.gpus[0]

    def __repr__(self) -> str:
        return f"<container {self.id}>"


@dataclass(frozen=True, eq=False, repr=False)
class FrozenInstance:
    """A function's process; ``kv_bytes`` is what its running batch holds."""

    id: int
    function: Function | None
    backbone: Backbone
    container: FrozenContainer
    state: InstanceState
    done: Mapping[str, int]
    ready: bool
    bound: int
    queue: FrozenQueues
    running: Mapping[int, FrozenRunning]
    adapters: Mapping[Function, int]
    loading: Mapping[Function, None]
    planned_loads: Mapping[Function, None]
    adapter_slots: int
    last_used_s: float
    has_run: bool
    kv_bytes: int
    merged: Function | None
    on_host: Collection[Function]

    @property
    def gpu(self) -> FrozenGpu:
        return self.container.gpu

    @property
    def gpus(self) -> Sequence[FrozenGpu]:
        return self.container.gpus

    def adapter_tier(self, function: Function) -> Tier | None:
        if function in self.adapters or (self.function is function and ArtifactKind.ADAPTER in self.done):
            return Tier.DEVICE
        return Tier.HOST if function in self.on_host else None

    @property
    def prefill_tokens(self) -> int:
        return sum(running.prefill_left for running in self.running.values())

    @property
    def device_bytes(self) -> int:
        return sum(self.done.values()) + self.kv_bytes

    @property
    def kv_free_bytes(self) -> int:
        return min(gpu.free_bytes for gpu in self.gpus)

    @property
    def adapter_room_bytes(self) -> int:
        return self.kv_free_bytes

    def __repr__(self) -> str:
        return f"<instance {self.id}>"
