"""The whole mutable state: implements :class:`simlora.views.ClusterView`, kept up to date as it changes (law 9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile

import simpy

from simlora.cluster.hardware import CheckpointCache, Gpu, Node, Place
from simlora.cluster.links import Discipline, Link
from simlora.cluster.machines import Machines
from simlora.cluster.memory import Memory
from simlora.cluster.pipelines import Pipeline
from simlora.cluster.processes import BackboneProcess, Container, Instance
from simlora.cluster.queues import Queues
from simlora.entities import Backbone, Function
from simlora.views import GpuView, InstanceState, InstanceView


class Cluster:
    """Nodes, GPUs, processes and queues of one run."""

    def __init__(
        self,
        env: simpy.Environment,
        functions: Sequence[Function],
        machines: Sequence[Machines],
        *,
        has_all: bool = True,
        one_for_all: bool = False,
        reserved_gpus: int = 0,
        use_gpus: int | None = None,
        host_cache_fraction: float = 0.0,
        storage: Discipline = "fair",
    ):
        self._env = env
        self.functions = functions
        self._one_for_all = one_for_all
        self.every_node: list[Node] = []
        self.every_gpu: list[Gpu] = []
        self.front = Queues()
        self.held_back = Queues()
        self.containers: dict[int, Container] = {}
        self.idle_containers: dict[int, Container] = {}
        self._instances: dict[Function, dict[int, Instance]] = {f: {} for f in functions}
        self._unfinished: dict[Function, int] = dict.fromkeys(functions, 0)
        self._started: dict[str, int] = {}
        self._ids = {"instance": 0, "container": 0, "backbone": 0}
        for kind in machines:
            self._add_nodes(kind, use_gpus, has_all, host_cache_fraction, storage)
        self._every_place: dict[int, tuple[Place, ...]] = {}
        self._places: dict[int, tuple[Place, ...]] = {}
        self._place_of: dict[tuple[int, ...], Place] = {}
        for reserved in self.every_gpu[:reserved_gpus]:
            reserved.reserved = True
        self._changes: dict[Gpu, int] = {}
        self._mark = 0
        self.touch(self.every_gpu)
        self.nodes: list[Node] = list(self.every_node)
        self.gpus: list[Gpu] = list(self.every_gpu)

    def _add_nodes(
        self, kind: Machines, use_gpus: int | None, has_all: bool, cache_fraction: float, storage: Discipline
    ) -> None:
        host = kind.node
        for _ in range(kind.nodes):
            n, count = len(self.every_node), kind.gpus_per_node
            if use_gpus is not None:
                count = min(count, use_gpus - len(self.every_gpu))
            if not count:
                return
            cache_bytes = int(host.host_bytes * cache_fraction)
            memory = Memory(f"host memory of node {n}", host.host_bytes - cache_bytes)
            cache = CheckpointCache(Memory(f"checkpoint cache of node {n}", cache_bytes))
            remote_per_s = min(host.nic_bytes_per_s, host.remote_bytes_per_s)
            links = (
                Link(f"storage of node {n}", host.ssd_bytes_per_s, storage),
                Link(f"network of node {n}", remote_per_s),
            )
            self.every_node.append(Node(self._env, n, memory, cache, links, has_all))
            self._add_gpus(self.every_node[-1], count, kind)

    def _add_gpus(self, node: Node, count: int, kind: Machines) -> None:
        """As many in turn behind one switch as the kind of node says."""
        gpu, name = kind.profile.gpu, kind.profile.kernels.gpu
        for n in range(count):
            index = len(self.every_gpu)
            if n % kind.node.switch_gpus == 0:
                switch: list[Gpu] = []
                bus = Link(f"bus of GPU {index}", gpu.pcie_bytes_per_s)
            self.every_gpu.append(Gpu(index, name, node, Memory(f"GPU {index}", gpu.usable_bytes), bus, switch))
            node.gpus.append(self.every_gpu[-1])
            switch.append(self.every_gpu[-1])

    def cache_all(self) -> None:
        """Fill the host caches with what the functions need, in their order, as far as there is room."""
        for node in self.nodes:
            for function in self.functions:
                backbone, adapter = function.backbone, function.adapter
                for name, size_bytes in ((backbone.name, backbone.weights_bytes), (adapter.name, adapter.bytes)):
                    if size_bytes <= node.cache.memory.free_bytes:
                        node.cache.use(name, size_bytes)

    # ------------------------------------------------------------------ what policies see

    @property
    def now_s(self) -> float:
        return self._env.now

    def places(self, gpus: int) -> Sequence[Place]:
        found = self._places.get(gpus)
        if found is None:
            there = (place for place in self.every_place(gpus) if not any(gpu.lost for gpu in place.gpus))
            found = self._places[gpus] = tuple(there)
        return found

    def changed_since(self, mark: int) -> tuple[int, Sequence[Gpu]]:
        latest_first = reversed(self._changes.items())
        return self._mark, [gpu for gpu, _ in takewhile(lambda change: change[1] > mark, latest_first)]

    def instances_of(self, function: Function) -> Mapping[int, Instance]:
        return self._instances[function]

    def waiting(self, function: Function) -> int:
        return len(self.front.by_function.get(function, ())) + len(self.held_back.by_function.get(function, ()))

    def running(self, function: Function) -> int:
        return self._unfinished[function]

    def ongoing(self, function: Function) -> int:
        if not self._one_for_all:
            return self.waiting(function) + self.running(function)
        queues = (*self.front.by_function.items(), *self.held_back.by_function.items())
        waiting = sum(len(queue) for waits, queue in queues if waits.backbone is function.backbone)
        return waiting + sum(i.bound + len(i.running) for i in self._instances[function].values())

    # ------------------------------------------------------------------ what the engine does

    def touch(self, gpus: Sequence[Gpu]) -> None:
        """What is on these GPUs, or the state of it, is about to change."""
        for gpu in gpus:
            self._mark += 1
            self._changes.pop(gpu, None)
            self._changes[gpu] = self._mark

    def every_place(self, gpus: int) -> Sequence[Place]:
        """Also those of which a GPU is lost."""
        found = self._every_place.get(gpus)
        if found is None:
            nodes = [[gpu for gpu in self.every_gpu if gpu.node is node] for node in self.every_node]
            blocks = (node[first : first + gpus] for node in nodes for first in range(0, len(node) - gpus + 1, gpus))
            found = self._every_place[gpus] = tuple(map(Place, blocks))
            self._place_of |= {tuple(gpu.index for gpu in place.gpus): place for place in found}
        return found

    def _next_id(self, kind: str) -> int:
        self._ids[kind] += 1
        return self._ids[kind] - 1

    def find(self, instance: InstanceView) -> Instance:
        """The instance behind a view of it."""
        return self.every_gpu[instance.gpu.index].instances[instance.id]

    def place_of(self, gpus: Sequence[GpuView]) -> Place:
        """The place that these GPUs are; :class:`KeyError` if they are none."""
        place = self._place_of[tuple(gpu.index for gpu in gpus)]
        if place.gpus != tuple(gpus):
            raise KeyError(gpus)
        return place

    def add_container(self, place: Place, limit_bytes: int) -> Container:
        """A new, empty container."""
        container = Container(self._next_id("container"), place, limit_bytes)
        self.containers[container.id] = container
        self.touch(place.gpus)
        for gpu in place.gpus:
            gpu.containers[container.id] = container
        return container

    def remove_container(self, container: Container) -> None:
        """The container ends; it must be empty."""
        self.touch(container.gpus)
        del self.containers[container.id]
        for gpu in container.gpus:
            del gpu.containers[container.id]
        self.idle_containers.pop(container.id, None)

    def add_instance(
        self, function: Function | None, backbone: Backbone, container: Container, pipeline: Pipeline | None = None
    ) -> Instance:
        """A new process in ``container``, visible at once to every function it can serve; a helper of a pipeline."""
        name = function.id if function is not None else backbone.name
        ordinal = self._started[name] = self._started.get(name, -1) + 1
        instance = Instance(self._next_id("instance"), function, backbone, container, ordinal)
        instance.pipeline = pipeline
        container.instances[instance.id] = instance
        self.touch(container.gpus)
        for gpu in container.gpus:
            gpu.instances[instance.id] = instance
        for served in (function,) if function is not None else self.functions:
            if instance.serves(served):
                self._instances[served][instance.id] = instance
        return instance

    def remove_instance(self, instance: Instance) -> None:
        """The process ends."""
        instance.state = InstanceState.STOPPED
        del instance.container.instances[instance.id]
        self.touch(instance.gpus)
        for gpu in instance.gpus:
            del gpu.instances[instance.id]
        for served in (instance.function,) if instance.function is not None else self.functions:
            self._instances[served].pop(instance.id, None)

    def add_backbone(self, place: Place, backbone: Backbone, size_bytes: int) -> BackboneProcess:
        """A backbone process at ``place``, not yet loaded, ``size_bytes`` of each GPU taken."""
        place.memory.take(size_bytes)
        process = BackboneProcess(self._next_id("backbone"), place, backbone, size_bytes, self._env.now)
        self.touch(place.gpus)
        for gpu in place.gpus:
            gpu.backbones[backbone] = process
        return process

    def remove_backbone(self, process: BackboneProcess) -> None:
        """The backbone process ends and its memory is free."""
        self.touch(process.place.gpus)
        for gpu in process.place.gpus:
            del gpu.backbones[process.backbone]
        process.place.memory.give(process.bytes)

    def find_again(self) -> None:
        """Some GPU has been lost or is back: policies see those that are there, and their nodes."""
        self.gpus = [gpu for gpu in self.every_gpu if not gpu.lost]
        for gpu in self.every_gpu:
            gpu.switch[:] = [there for there in self.gpus if there.bus is gpu.bus]
        for node in self.every_node:
            node.gpus = [gpu for gpu in self.gpus if gpu.node is node]
        self.nodes = [node for node in self.every_node if node.gpus]
        self._places.clear()

    def count_bound(self, function: Function, change: int) -> None:
        """One more or fewer request of ``function`` bound to an instance and not finished."""
        self._unfinished[function] += change

    def check_bytes(self) -> None:
        """Every memory holds what its holders say, no more and no less (design law 8).

        Raises :class:`AccountingError` otherwise, a fault of the engine.
        """
        for gpu in self.every_gpu:
            instances = list(gpu.instances.values())
            gpu.memory.check(sum(i.device_bytes for i in instances) + sum(b.bytes for b in gpu.backbones.values()))
            for instance in instances:
                if isinstance(instance.kv, Memory) and instance.kv is not gpu.memory:
                    paged = instance.adapter_memory is instance.kv
                    instance.kv.check(instance.kv_bytes + (instance.adapter_bytes if paged else 0))
                    if not paged:
                        instance.adapter_memory.check(instance.adapter_bytes)
        for container in self.containers.values():
            container.memory.check(sum(i.host_bytes for i in container.instances.values()))
        for node in self.every_node:
            here = [gpu for gpu in self.every_gpu if gpu.node is node]
            node.memory.check(sum({i.id: i.host_bytes for gpu in here for i in gpu.instances.values()}.values()))
