"""Processes: containers, function instances and backbone processes."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import TYPE_CHECKING

import simpy

from simlora.cluster.hardware import Gpu, Place
from simlora.cluster.memory import Alike, Memory
from simlora.cluster.queues import Queues
from simlora.cluster.running import Running
from simlora.entities import ArtifactKind, Backbone, Function, Tier
from simlora.views import InstanceState

if TYPE_CHECKING:
    from simlora.backends.base import RunTask, Task
    from simlora.cluster.pipelines import Pipeline


_IS_SPARE = attrgetter("is_spare")


class Container:
    """A sandbox on a host with a view of a place's GPUs: implements :class:`simlora.views.ContainerView`."""

    __slots__ = ("gpu", "gpus", "id", "instances", "keep_until_s", "memory", "place", "watched_s")

    def __init__(self, id_: int, place: Place, limit_bytes: int):
        self.id = id_
        self.place = place
        self.gpu = place.gpu
        self.gpus = place.gpus
        self.memory = Memory(f"container {id_}", limit_bytes)
        self.instances: dict[int, Instance] = {}
        self.keep_until_s = float("inf")
        self.watched_s = float("inf")

    @property
    def free_bytes(self) -> int:
        return self.memory.free_bytes

    @property
    def idle(self) -> bool:
        """It is up, and nothing in it runs, starts for work or has work bound; pre-loads may be under way."""
        return all(map(_IS_SPARE, self.instances.values()))

    def __repr__(self) -> str:
        return f"<container {self.id}>"


class BackboneProcess:
    """One copy of a backbone at one place, mapped by instances: implements :class:`simlora.views.BackboneView`.

    ``bytes`` are those on each GPU; ``loading`` is set by the first mapper that gets to it, ``task`` is its load under
    way; ``active`` counts mappers whose batch runs.
    """

    __slots__ = (
        "active",
        "backbone",
        "bytes",
        "gpu",
        "id",
        "loaded",
        "loading",
        "mappers",
        "place",
        "since_s",
        "task",
        "unmapped_s",
    )

    def __init__(self, id_: int, place: Place, backbone: Backbone, size_bytes: int, now_s: float):
        self.id = id_
        self.place = place
        self.gpu = place.gpu
        self.backbone = backbone
        self.bytes = size_bytes
        self.loaded = False
        self.loading: simpy.Process | None = None
        self.task: Task | None = None
        self.mappers: dict[int, Instance] = {}
        self.active = 0
        self.since_s = now_s
        self.unmapped_s = now_s

    @property
    def mapped_by(self) -> int:
        return len(self.mappers)

    @property
    def in_use(self) -> bool:
        return any(i.state is not InstanceState.IDLE or i.bound for i in self.mappers.values())

    def __repr__(self) -> str:
        return f"<{self.backbone.name} on {self.gpu}>"


class Instance:
    """A function's process, or an engine for all functions of a backbone: :class:`simlora.views.InstanceView`.

    Bytes are those on each of its GPUs. ``held`` maps a request that is bound or running to the bytes of KV set
    aside for it, ``kv_bytes`` is what they all hold, grown since; ``reserved`` the stages under way to the device
    bytes set aside for them; ``upto`` names the stage it is to reach, ``None`` for ready. ``prefilling`` are the
    running requests with prompt left to compute; ``own_container`` holds until it is first idle, if the container
    was created for it; ``task`` is a stage or load under way, ``run`` the segment that runs; ``pipeline`` is set while
    it serves with a part of its model, or runs a part for another. Of an engine for many
    functions, ``adapters`` counts the running requests that use each adapter, the one used least recently first;
    ``loading`` are those of them on their way, ``planned_loads`` those to begin at the next step boundary,
    ``parked`` the running requests that wait for theirs; ``ranks_in_use`` counts the adapters in use that have
    arrived.
    """

    __slots__ = (
        "adapter_bytes",
        "adapter_memory",
        "adapter_slots",
        "adapters",
        "backbone",
        "began_s",
        "bound",
        "changed",
        "chunk_tokens",
        "container",
        "decode_steps",
        "done",
        "function",
        "gpu",
        "gpus",
        "has_run",
        "held",
        "held_bound_bytes",
        "host_bytes",
        "host_copies",
        "id",
        "idle_adapter_bytes",
        "keep_until_s",
        "kv",
        "kv_bytes",
        "last_used_s",
        "leaving",
        "loading",
        "memory",
        "merged",
        "on_demand",
        "ordinal",
        "own_container",
        "parked",
        "pipeline",
        "place",
        "planned_loads",
        "prefilling",
        "process",
        "queue",
        "ranks_in_use",
        "ready",
        "ready_s",
        "reserved",
        "run",
        "running",
        "since_s",
        "stage_bytes",
        "state",
        "task",
        "upto",
        "wake",
    )

    def __init__(self, id_: int, function: Function | None, backbone: Backbone, container: Container, ordinal: int):
        self.id = id_
        self.function = function
        self.backbone = backbone
        self.container = container
        self.place = container.place
        self.gpu: Gpu = container.gpu
        self.gpus = container.gpus
        self.memory = container.place.memory
        self.ordinal = ordinal
        self.state = InstanceState.STARTING
        self.done: dict[str, int] = {}
        self.reserved: dict[str, int] = {}
        self.host_copies: dict[str, int] = {}
        self.upto: str | None = None
        self.pipeline: Pipeline | None = None
        self.ready = False
        self.began_s = 0.0
        self.ready_s = float("nan")
        self.on_demand = True
        self.own_container = True
        self.stage_bytes = 0
        self.host_bytes = 0
        self.queue = Queues()
        self.bound = 0
        self.running: dict[int, Running] = {}
        self.prefilling: list[Running] = []
        self.decode_steps = 0
        self.chunk_tokens: int | None = None
        self.kv: Memory | Alike = self.memory
        self.held: dict[int, int] = {}
        self.held_bound_bytes = 0
        self.kv_bytes = 0
        self.adapters: dict[Function, int] = {}
        self.adapter_slots = 1
        self.adapter_memory: Memory = container.gpu.memory
        self.adapter_bytes = 0
        self.idle_adapter_bytes = 0
        self.ranks_in_use: dict[int, int] = {}
        self.loading: dict[Function, simpy.Process] = {}
        self.planned_loads: dict[Function, None] = {}
        self.parked: list[Running] = []
        self.merged: Function | None = None
        self.leaving: dict[int, Instance] = {}
        self.last_used_s = 0.0
        self.has_run = False
        self.since_s = 0.0
        self.keep_until_s: dict[str, float] = {}
        self.changed = False
        self.wake: simpy.Event | None = None
        self.task: Task | None = None
        self.run: RunTask | None = None
        self.process: simpy.Process | None = None

    def take_kv(self, size_bytes: int) -> None:
        """Raises :class:`AccountingError` if that much is not free."""
        self.kv.take(size_bytes)
        self.kv_bytes += size_bytes
        if self.pipeline is not None:
            self.pipeline.share_kv()

    def give_kv(self, size_bytes: int) -> None:
        """Raises :class:`AccountingError` if that much is not in use."""
        self.kv.give(size_bytes)
        self.kv_bytes -= size_bytes
        if self.pipeline is not None:
            self.pipeline.share_kv()

    @property
    def helps(self) -> bool:
        """It runs a part of the model of another instance, for that one's requests."""
        return self.pipeline is not None and self.pipeline.main is not self

    @property
    def step_gpus(self) -> Sequence[Gpu]:
        """The GPUs on which its steps run."""
        return self.gpus if self.pipeline is None else self.pipeline.gpus

    @property
    def kv_room_bytes(self) -> int:
        """Bytes that more KV could take."""
        return self.kv.free_bytes if self.pipeline is None else self.pipeline.kv_room_bytes

    @property
    def kv_free_bytes(self) -> int:
        """Free memory, what is held already for requests bound to it, and that of unused adapters in the same pool."""
        spare_bytes = self.idle_adapter_bytes if self.adapter_memory is self.kv else 0
        return self.kv_room_bytes + self.held_bound_bytes + spare_bytes

    @property
    def adapter_room_bytes(self) -> int:
        return self.adapter_memory.free_bytes + self.idle_adapter_bytes

    @property
    def prefill_tokens(self) -> int:
        return sum(running.prefill_left for running in (*self.prefilling, *self.parked))

    @property
    def device_bytes(self) -> int:
        """Bytes of each of its GPUs that it holds: stages done and reserved, and KV or the pool for it."""
        kv_bytes = self.kv_bytes if self.kv is self.memory else self.kv.capacity_bytes
        return self.stage_bytes + kv_bytes

    @property
    def is_spare(self) -> bool:
        """It may be ended for another's sake: no work needs it, and its container is up."""
        if self.bound or self.state is InstanceState.BUSY:
            return False
        return self.state is InstanceState.IDLE or not (self.on_demand or self.own_container)

    def adapter_tier(self, function: Function) -> Tier | None:
        """Where the process itself has the adapter."""
        if function in self.adapters or (self.function is function and ArtifactKind.ADAPTER in self.done):
            return Tier.DEVICE
        return Tier.HOST if function.adapter.name in self.host_copies else None

    def serves(self, function: Function) -> bool:
        """Whether requests of ``function`` can run here."""
        if self.helps:
            return False
        return self.function is function or (self.function is None and self.backbone is function.backbone)

    def __repr__(self) -> str:
        return f"<instance {self.id}>"
