"""Idle containers in the order in which a plan would pre-load into them, kept from plan to plan (design law 9)."""

from __future__ import annotations

from simlora.entities import Backbone, Function
from simlora.policies.preloading.room import Room
from simlora.policies.ranking import Ranking
from simlora.views import ClusterView, ContainerView, GpuView

Kind = tuple[Backbone, int]


class IdleContainers:
    """Those where a function's start fits first; then those whose GPU holds its backbone, then those with the fewest
    processes, then those with the most memory.

    Only containers on GPUs where something changed are looked at anew, once for each kind of function: what a start
    needs depends on the backbone and the size of the adapter.
    """

    def __init__(self, view: ClusterView) -> None:
        self.view = view
        self._mark = 0
        self._kinds: dict[Kind, tuple[Function, Ranking]] = {}
        self._on: dict[int, dict[int, None]] = {}
        self._chosen: dict[int, GpuView] = {}

    def begin(self, room: Room) -> None:
        """A plan is to be made: catch up with what has changed, and with what the last plan thought would."""
        self._mark, changed = self.view.changed_since(self._mark)
        for gpu in {gpu.index: gpu for gpu in (*changed, *self._chosen.values())}.values():
            self._look_at(gpu, room)
        self._chosen.clear()

    def _look_at(self, gpu: GpuView, room: Room) -> None:
        idle = {id_: container for id_, container in gpu.containers.items() if id_ in self.view.idle_containers}
        for id_ in self._on.get(gpu.index, ()):
            if id_ not in idle:
                for _, ranking in self._kinds.values():
                    ranking.drop(id_)
        self._on[gpu.index] = dict.fromkeys(idle)
        for container in idle.values():
            self._put(container, room)

    def _put(self, container: ContainerView, room: Room) -> None:
        for function, ranking in self._kinds.values():
            self._rank(function, ranking, container, room)

    @staticmethod
    def _rank(function: Function, ranking: Ranking, container: ContainerView, room: Room) -> None:
        if len(container.gpus) == function.backbone.tensor_parallel:
            absent = function.backbone not in container.gpu.backbones
            free_bytes = container.gpu.free_bytes
            ranking.put(
                container.id, (not room.fits(function, container), absent, room.processes(container), -free_bytes)
            )

    def best(self, function: Function, room: Room) -> ContainerView | None:
        """Where the function would go, if anywhere; the container then has one process more as far as ``room`` goes."""
        kind = function.backbone, function.adapter_shard_bytes
        if kind not in self._kinds:
            ranking = Ranking()
            self._kinds[kind] = function, ranking
            for container in self.view.idle_containers.values():
                self._rank(function, ranking, container, room)
        first = self._kinds[kind][1].first()
        if first is None:
            return None
        container = self.view.idle_containers[first]
        room.add_process(container)
        self._chosen[container.gpu.index] = container.gpu
        self._put(container, room)
        return container
