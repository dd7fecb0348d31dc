"""A cluster at one instant, built by hand from frozen views."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from simlora.entities import Backbone, Function, QueuedRequest
from simlora.testing.views import (
    NOTHING_WAITS,
    FrozenBackbone,
    FrozenContainer,
    FrozenGpu,
    FrozenInstance,
    FrozenNode,
    FrozenPlace,
    FrozenQueues,
    FrozenRunning,
)
from simlora.views import InstanceState


class Snapshot:
    """Builds a frozen cluster piece by piece, then is one: ``ClusterView`` at ``now_s``.

    ``one_for_all``: its engines serve all functions of a backbone. ``add_*`` return what they made, so that a test can
    name it.
    """

    def __init__(self, now_s: float, functions: Sequence[Function], one_for_all: bool = False) -> None:
        self.now_s = now_s
        self.one_for_all = one_for_all
        self.functions = tuple(functions)
        self._nodes: list[FrozenNode] = []
        self._gpus: list[FrozenGpu] = []
        self._node_gpus: list[list[FrozenGpu]] = []
        self._mappings: list[dict[Any, Any]] = []
        self._inner: dict[int, dict[Any, Any]] = {}
        self._containers: dict[int, FrozenContainer] = {}
        self._instances: dict[int, FrozenInstance] = {}
        self._queues: list[FrozenQueues] = []
        self._blocks: dict[tuple[int, int], list[FrozenPlace]] = {}
        self._reversed = False
        self.front = self.add_queues()

    def _mapping(self, items: Mapping[Any, Any] = MappingProxyType({})) -> Mapping[Any, Any]:
        inner = dict(items)
        proxy = MappingProxyType(inner)
        self._mappings.append(inner)
        self._inner[id(proxy)] = inner
        return proxy

    def _put(self, proxy: Mapping[Any, Any], key: Any, value: Any) -> None:
        self._inner[id(proxy)][key] = value

    def add_node(
        self,
        storage_wait_s: float = 0.0,
        cached: frozenset[str] = frozenset(),
        fetch_per_s: float = 1e9,
        has_all: bool = True,
    ) -> FrozenNode:
        """``has_all``: its storage holds every artifact; otherwise none."""
        self._node_gpus.append([])
        gpus = self._node_gpus[-1]
        self._nodes.append(FrozenNode(len(self._nodes), gpus, storage_wait_s, cached, fetch_per_s, has_all))
        return self._nodes[-1]

    def add_gpu(
        self,
        node: FrozenNode,
        capacity_bytes: int,
        beside: FrozenGpu | None = None,
        reserved: bool = False,
        kind: str = "l40s",
    ) -> FrozenGpu:
        """``beside``: a GPU behind whose PCIe switch it is, too."""
        switch = beside.switch if beside is not None else []
        there = self._mapping(), self._mapping(), self._mapping()
        gpu = FrozenGpu(len(self._gpus), node, capacity_bytes, *there, switch, reserved, kind)
        switch.append(gpu)
        self._gpus.append(gpu)
        self._node_gpus[node.index].append(gpu)
        return gpu

    def add_backbone(
        self, gpu: FrozenGpu, backbone: Backbone, loaded: bool = True, others: Sequence[FrozenGpu] = ()
    ) -> FrozenBackbone:
        """``others``: the further GPUs of its place."""
        process = FrozenBackbone(backbone, backbone.shard.weights_bytes, loaded, self._mapping())
        for one in (gpu, *others):
            self._put(one.backbones, backbone, process)
        return process

    def add_container(
        self, gpu: FrozenGpu, free_bytes: int = 32_000_000_000, others: Sequence[FrozenGpu] = ()
    ) -> FrozenContainer:
        """``others``: the further GPUs of its place."""
        container = FrozenContainer(len(self._containers), (gpu, *others), free_bytes, self._mapping())
        self._containers[container.id] = container
        for one in container.gpus:
            self._put(one.containers, container.id, container)
        return container

    def add_instance(
        self,
        function: Function | None,
        container: FrozenContainer,
        done: Mapping[str, int],
        *,
        backbone: Backbone | None = None,
        state: InstanceState = InstanceState.IDLE,
        ready: bool = False,
        queue: FrozenQueues = NOTHING_WAITS,
        running: Sequence[FrozenRunning] = (),
        resident: Sequence[Function] = (),
        loading: Sequence[Function] = (),
        planned: Sequence[Function] = (),
        adapter_slots: int = 1,
        last_used_s: float = 0.0,
        has_run: bool = False,
        kv_bytes: int = 0,
        merged: Function | None = None,
        on_host: Collection[Function] = (),
    ) -> FrozenInstance:
        """A process in ``container``; it maps its backbone's process if that exists and its backbone stage is done.

        ``resident`` and ``loading`` are adapters on its device and on their way, beside those of the running batch;
        ``planned`` are those to be loaded from the next step boundary on.
        """
        model = function.backbone if function is not None else backbone
        if model is None:
            raise ValueError("an instance without a function needs a backbone")
        users: dict[Function, int] = {}
        for one in running:
            users[one.request.function] = users.get(one.request.function, 0) + 1
        instance = FrozenInstance(
            id=len(self._instances),
            function=function,
            backbone=model,
            container=container,
            state=state,
            done=self._mapping(done),
            ready=ready,
            bound=len(queue),
            queue=queue,
            running=MappingProxyType({one.request.index: one for one in running}),
            adapters=MappingProxyType({**dict.fromkeys((*resident, *loading), 0), **users}),
            loading=MappingProxyType(dict.fromkeys(loading)),
            planned_loads=MappingProxyType(dict.fromkeys(planned)),
            adapter_slots=adapter_slots,
            last_used_s=last_used_s,
            has_run=has_run,
            kv_bytes=kv_bytes,
            merged=merged,
            on_host=on_host,
        )
        self._instances[instance.id] = instance
        self._put(container.instances, instance.id, instance)
        for gpu in container.gpus:
            self._put(gpu.instances, instance.id, instance)
        if "backbone" in done and model in container.gpu.backbones:
            self._put(container.gpu.backbones[model].mappers, instance.id, instance)
        return instance

    def add_queues(self, waiting: Mapping[Function, deque[QueuedRequest]] = MappingProxyType({})) -> FrozenQueues:
        """Queues beside the front end's, as those of an instance."""
        self._queues.append(FrozenQueues(self._mapping(waiting)))
        return self._queues[-1]

    def add_request(self, request: QueuedRequest) -> None:
        """One more at the front end; in order of arrival."""
        if request.function not in self.front.by_function:
            self._put(self.front.by_function, request.function, deque())
        self.front.by_function[request.function].append(request)

    def reverse_mappings(self) -> None:
        """Turn round the order of every mapping that has none by meaning."""
        self._reversed = not self._reversed
        for inner in self._mappings:
            turned = dict(reversed(inner.items()))
            inner.clear()
            inner.update(turned)

    def describe(self) -> str:
        """Everything there is to see, as text: equal texts, equal views."""
        lines = [f"at {self.now_s!r}"]
        for gpu in self._gpus:
            backbones = sorted((b.backbone.name, b.loaded, b.mapped_by) for b in gpu.backbones.values())
            lines.append(f"{gpu} {gpu.free_bytes} {backbones} {sorted(gpu.instances)}")
        lines += [f"{c} on {[*c.gpus]} {c.free_bytes} {sorted(c.instances)}" for c in self._containers.values()]
        for i in self._instances.values():
            done = sorted(i.done.items())
            lines.append(f"{i} {i.state} {done} {i.bound} {list(i.running)} {i.kv_bytes} {i.last_used_s!r}")
        lines += [f"{list(queues.in_order())}" for queues in self._queues]
        return "\n".join(lines)

    @property
    def nodes(self) -> Sequence[FrozenNode]:
        return tuple(self._nodes)

    @property
    def gpus(self) -> Sequence[FrozenGpu]:
        return tuple(self._gpus)

    def changed_since(self, mark: int) -> tuple[int, Sequence[FrozenGpu]]:
        return 0, self.gpus

    def places(self, gpus: int) -> Sequence[FrozenPlace]:
        firsts = ((node, first) for node in self._node_gpus for first in range(0, len(node) - gpus + 1, gpus))
        return self._blocks.setdefault(
            (gpus, len(self._gpus)), [FrozenPlace(tuple(node[first : first + gpus])) for node, first in firsts]
        )

    @property
    def instances(self) -> Mapping[int, FrozenInstance]:
        return MappingProxyType(self._instances)

    @property
    def idle_containers(self) -> Mapping[int, FrozenContainer]:
        idle = {
            c.id: c
            for c in self._containers.values()
            if c.instances and all(i.state is InstanceState.IDLE and not i.bound for i in c.instances.values())
        }
        return MappingProxyType(dict(reversed(idle.items())) if self._reversed else idle)

    def instances_of(self, function: Function) -> Mapping[int, FrozenInstance]:
        return MappingProxyType(
            {
                i.id: i
                for i in self._instances.values()
                if i.function is function or (i.function is None and i.backbone is function.backbone)
            }
        )

    def waiting(self, function: Function) -> int:
        return len(self.front.by_function.get(function, ()))

    def running(self, function: Function) -> int:
        serving = self.instances_of(function).values()
        return sum(i.bound + sum(r.request.function is function for r in i.running.values()) for i in serving)

    def ongoing(self, function: Function) -> int:
        if not self.one_for_all:
            return self.waiting(function) + self.running(function)
        waiting = sum(self.waiting(f) for f in self.functions if f.backbone is function.backbone)
        return waiting + sum(i.bound + len(i.running) for i in self.instances_of(function).values())
