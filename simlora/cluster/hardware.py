"""Nodes and GPUs: their memories, links and what is on them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import simpy

from simlora.cluster.links import Link
from simlora.cluster.memory import Alike, Memory
from simlora.entities import Backbone

if TYPE_CHECKING:
    from simlora.cluster.processes import BackboneProcess, Container, Instance


class CheckpointCache:
    """Host copies of checkpoints, the least recently used leaving first."""

    __slots__ = ("_held", "memory")

    def __init__(self, memory: Memory):
        self.memory = memory
        self._held: OrderedDict[str, int] = OrderedDict()

    def clear(self) -> None:
        """All copies are gone."""
        self.memory.give(sum(self._held.values()))
        self._held.clear()

    def __contains__(self, checkpoint: str) -> bool:
        return checkpoint in self._held

    def use(self, checkpoint: str, size_bytes: int) -> None:
        """Note a use of the checkpoint, keeping a copy if it fits the cache at all."""
        if checkpoint in self._held:
            self._held.move_to_end(checkpoint)
        elif size_bytes <= self.memory.capacity_bytes:
            while self.memory.free_bytes < size_bytes:
                _, freed_bytes = self._held.popitem(last=False)
                self.memory.give(freed_bytes)
            self.memory.take(size_bytes)
            self._held[checkpoint] = size_bytes


class Node:
    """A host: implements :class:`simlora.views.NodeView`."""

    __slots__ = (
        "_env",
        "cache",
        "expected",
        "fetching",
        "gpus",
        "has_all",
        "index",
        "memory",
        "on_ssd",
        "remote",
        "storage",
    )

    def __init__(
        self,
        env: simpy.Environment,
        index: int,
        memory: Memory,
        cache: CheckpointCache,
        links: Sequence[Link],
        has_all: bool,
    ):
        self._env = env
        self.has_all = has_all
        self.index = index
        self.memory = memory
        self.cache = cache
        self.storage, self.remote = links
        self.gpus: list[Gpu] = []
        self.on_ssd: dict[str, None] = {}
        self.expected: dict[int, int] = {}
        self.fetching: dict[str, simpy.Process] = {}

    @property
    def storage_wait_s(self) -> float:
        return self.storage.backlog_s(self._env.now) + sum(self.expected.values()) / self.storage.bytes_per_s

    @property
    def fetch_per_s(self) -> float:
        return self.remote.bytes_per_s / (len(self.remote.transfers) + 1)

    def expect_read(self, instance: int, backbone: Backbone, parts: int) -> None:
        """An instance under way will read one of so many parts of this checkpoint from storage, or from the cache."""
        if backbone.name not in self.cache:
            self.expected[instance] = -(-backbone.weights_bytes // parts)

    def caches(self, checkpoint: str) -> bool:
        return checkpoint in self.cache

    def stores(self, artifact: str) -> bool:
        """Whether its storage holds the artifact already."""
        return self.has_all or artifact in self.on_ssd

    def __repr__(self) -> str:
        return f"<node {self.index}>"


class Gpu:
    """A GPU: implements :class:`simlora.views.GpuView`. Those of one ``switch`` have one ``bus``.

    ``lost`` counts the failures that keep it away now.
    """

    __slots__ = (
        "active_batches",
        "backbones",
        "bus",
        "containers",
        "index",
        "instances",
        "kind",
        "lost",
        "memory",
        "node",
        "reserved",
        "switch",
    )

    def __init__(self, index: int, kind: str, node: Node, memory: Memory, bus: Link, switch: list[Gpu]):
        self.index = index
        self.kind = kind
        self.reserved = False
        self.lost = 0
        self.node = node
        self.memory = memory
        self.bus = bus
        self.switch = switch
        self.active_batches = 0
        self.instances: dict[int, Instance] = {}
        self.backbones: dict[Backbone, BackboneProcess] = {}
        self.containers: dict[int, Container] = {}

    @property
    def capacity_bytes(self) -> int:
        return self.memory.capacity_bytes

    @property
    def free_bytes(self) -> int:
        return self.memory.free_bytes

    @property
    def neighbours(self) -> Sequence[Gpu]:
        return [gpu for gpu in self.switch if gpu is not self]

    def __repr__(self) -> str:
        return f"<GPU {self.index}>"


class Place:
    """Where an instance goes: a GPU, or several of one node, each with an equal part of it.

    ``memory`` is that of each; ``gpu`` the first of them, ``others`` the rest.
    """

    __slots__ = ("gpu", "gpus", "memory", "others")

    def __init__(self, gpus: Sequence[Gpu]):
        self.gpus = tuple(gpus)
        self.gpu, *others = gpus
        self.others = tuple(others)
        self.memory = Alike([gpu.memory for gpu in gpus]) if others else self.gpu.memory

    def __repr__(self) -> str:
        return " and ".join(map(repr, self.gpus))
