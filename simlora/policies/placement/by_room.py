"""Placement by free memory and by what is on a GPU, on its node or in its containers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from simlora.actions import Placement
from simlora.entities import Backbone, Function
from simlora.policies.base import Forecast, PolicyContext
from simlora.policies.estimates import Estimates
from simlora.policies.ranking import Ranking
from simlora.policies.registry import register
from simlora.views import ClusterView, ContainerView, GpuView, InstanceState, InstanceView, PlaceView

NOTHING: Mapping[str, int] = {}
Rank = Callable[[GpuView], tuple[float, ...]]
Key = tuple[bool, tuple[float, ...], int]


def idle_bytes(instances: Mapping[int, InstanceView]) -> int:
    """Device bytes that the idle ones of these instances hold."""
    held_bytes = 0
    for instance in instances.values():
        if instance.state is InstanceState.IDLE and not instance.bound:
            held_bytes += instance.device_bytes
    return held_bytes


def reclaimable_bytes(gpu: GpuView, keep: Backbone | None = None) -> int:
    """Bytes free on a GPU once all that is idle there has left, and the backbones that nobody maps then."""
    free_bytes = gpu.free_bytes + idle_bytes(gpu.instances)
    for process in gpu.backbones.values():
        if process.loaded and not process.in_use and process.backbone is not keep:
            free_bytes += process.bytes
    return free_bytes


def least_free_bytes(place: ContainerView) -> int:
    """Bytes that are free on each GPU of a container."""
    return min(gpu.free_bytes for gpu in place.gpus)


def in_use(gpu: GpuView) -> bool:
    """Whether an instance on it runs, starts or has work bound."""
    return any(i.bound or i.state is not InstanceState.IDLE for i in gpu.instances.values())


class _Kept:
    """Places for functions of one kind in order, as far as they have not changed."""

    __slots__ = ("_mark", "_number", "places", "ranking", "view")

    def __init__(self, view: ClusterView, places: Sequence[PlaceView]) -> None:
        self.view = view
        self.places = places
        self.ranking = Ranking()
        self._number = {gpu.index: number for number, place in enumerate(places) for gpu in place.gpus}
        self._mark = 0

    def changed(self) -> Iterable[int]:
        """The numbers of the places of which a GPU has changed since this was last asked."""
        self._mark, gpus = self.view.changed_since(self._mark)
        return dict.fromkeys(self._number[gpu.index] for gpu in gpus if gpu.index in self._number)


@dataclass
class Placing:
    """What the placements share: room for the start-up stages and for the KV of a first request.

    ``headroom_bytes`` stands for that KV (assumption: a gigabyte; 256 tokens of Llama-2-13B are 0.2 GB).
    """

    headroom_bytes: int = 1_000_000_000
    _estimates: Estimates = field(init=False, repr=False, compare=False)
    _forecast: Forecast = field(init=False, repr=False, compare=False)
    _kept: dict[tuple[Backbone, int], _Kept] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        if self.headroom_bytes < 0:
            raise ValueError(f"headroom_bytes must be 0 or more (found {self.headroom_bytes})")

    def bind(self, context: PolicyContext) -> None:
        self._estimates = context.estimates
        self._forecast = context.forecast

    def _need_bytes(self, function: Function, gpu: GpuView) -> int:
        return self._estimates.start_bytes(function, NOTHING, gpu) + self.headroom_bytes

    def could_use(self, function: Function, gpu: GpuView) -> bool:
        """Whether there would be room if what is idle there left, without which no place has this GPU."""
        return self._need_bytes(function, gpu) <= reclaimable_bytes(gpu, function.backbone)

    def _best_place(self, function: Function, places: Sequence[PlaceView], rank: Rank) -> PlaceView | None:
        """The least by ``rank`` of the places that fit now, else of those that would if what is idle left.

        Of a place with several GPUs the one that ranks last counts.
        """
        best: PlaceView | None = None
        best_key: Key | None = None
        for place in places:
            key = self._key(function, place, rank)
            if key is not None and (best_key is None or key < best_key):
                best, best_key = place, key
        return best

    def _key(self, function: Function, place: PlaceView, rank: Rank) -> Key | None:
        need_bytes = self._need_bytes(function, place.gpu)
        fits = all(need_bytes <= gpu.free_bytes for gpu in place.gpus)
        if fits or self._could_fit(need_bytes, place, function.backbone):
            return not fits, max([rank(gpu) for gpu in place.gpus]), place.gpu.index
        return None

    def _kept_best_place(
        self, function: Function, places: Sequence[PlaceView], view: ClusterView, rank: Rank
    ) -> PlaceView | None:
        """The same, where ``rank`` follows from what is on a GPU and from the function's backbone alone.

        Of places for functions of one kind only those are looked at where something has changed since the last time.
        """
        if places is not view.places(function.backbone.tensor_parallel):
            return self._best_place(function, places, rank)
        kind = function.backbone, function.adapter_shard_bytes
        kept = self._kept.get(kind)
        if kept is None or kept.view is not view or kept.places is not places:
            kept = self._kept[kind] = _Kept(view, places)
        for number in kept.changed():
            key = self._key(function, places[number], rank)
            if key is None:
                kept.ranking.drop(number)
            else:
                kept.ranking.put(number, key)
        first = kept.ranking.first()
        return places[first] if first is not None else None

    @staticmethod
    def _could_fit(need_bytes: int, place: PlaceView, backbone: Backbone) -> bool:
        """Whether so much would be free on each GPU if what is idle there left."""
        return all(need_bytes <= reclaimable_bytes(gpu, backbone) for gpu in place.gpus)


@register("placement", "most-free")
@dataclass
class MostFree(Placing):
    """A new container on the GPU with the most free memory; ties go to the lowest index. The usual default."""

    def place(self, function: Function, places: Sequence[PlaceView], view: ClusterView) -> Placement | None:
        place = self._kept_best_place(function, places, view, lambda gpu: (-gpu.free_bytes,))
        return Placement.at(place) if place is not None else None


@register("placement", "backbone-affinity")
@dataclass
class BackboneAffinity(Placing):
    """A GPU that holds the backbone and where fewer than ``busy_bound`` instances start or run, else the least busy.

    Ties go to the GPU with the most free memory. On it, the idle container whose processes are worth least (arrival
    rate x start-up seconds they save) is taken over. Source: ServerlessLoRA, where adapter and kernels go to their
    backbone's GPU. Assumptions: which of several such GPUs, which idle container, and the bound, which is not stated:
    without one a burst piles up on the first GPU while others stand empty. With 2, the second process fills the host
    time of the first (an eager decode step of Llama-2-7B keeps an L40S busy for about 0.4 of its time).
    """

    busy_bound: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.busy_bound < 1:
            raise ValueError(f"busy_bound must be at least 1 (found {self.busy_bound})")

    def place(self, function: Function, places: Sequence[PlaceView], view: ClusterView) -> Placement | None:
        def rank(gpu: GpuView) -> tuple[float, ...]:
            resident = function.backbone in gpu.backbones
            busy = sum(i.state is not InstanceState.IDLE for i in gpu.instances.values())
            crowded = busy >= self.busy_bound
            return (crowded, busy if crowded else 0, not resident, busy, -gpu.free_bytes)

        place = self._kept_best_place(function, places, view, rank)
        if place is None:
            return None
        there = (container for id_, container in place.gpu.containers.items() if id_ in view.idle_containers)
        idle = [container for container in there if container.gpus == place.gpus]
        return Placement.at(place, min(idle, key=lambda c: (self._worth(c, view.now_s), c.id), default=None))

    def _worth(self, container: ContainerView, now_s: float) -> float:
        worth = 0.0
        for instance in sorted(container.instances.values(), key=lambda i: i.id):
            if instance.function is not None:
                saved_s = self._estimates.start_s(instance.function, NOTHING) - self._estimates.missing_s(instance)
                worth += self._forecast.rate_per_s(instance.function, now_s) * saved_s
        return worth


@register("placement", "idle-container-first")
@dataclass
class IdleContainerFirst(Placing):
    """The idle container on the GPU with the most free memory that fits; else a new one on the GPU with the most free.

    Source: InstaInfer runs an invocation in an existing idle container, chosen by free resource, before it makes one.
    What a container's own processes hold counts as free, since they end when it is taken over.
    """

    def place(self, function: Function, places: Sequence[PlaceView], view: ClusterView) -> Placement | None:
        idle = [c for c in view.idle_containers.values() if len(c.gpus) == function.backbone.tensor_parallel]
        for container in sorted(idle, key=lambda c: (-least_free_bytes(c), c.id)):
            held_bytes = idle_bytes(container.instances)
            fits = self._need_bytes(function, container.gpu) <= least_free_bytes(container) + held_bytes
            if fits and any(place.gpus == container.gpus for place in places):
                return Placement.at(container, container)
        freest = self._kept_best_place(function, places, view, lambda gpu: (-gpu.free_bytes,))
        return Placement.at(freest) if freest is not None else None


@register("placement", "storage-aware")
@dataclass
class StorageAware(Placing):
    """A whole GPU on the node with the least estimated start time: its queue of reads, then the load.

    A node that caches the checkpoint in host memory does not wait for its storage. GPUs without an instance come first;
    one on which all instances are idle is the second choice, for the offloading policy to clear, of several equal ones
    the one not used for longest (assumption).
    Source: ServerlessLLM's storage-aware scheduler (a sequential queue of loads per node, time = queue + size /
    bandwidth of the tier). Live migration of running instances is left out.
    """

    def place(self, function: Function, places: Sequence[PlaceView], view: ClusterView) -> Placement | None:
        best: PlaceView | None = None
        best_key = (False, 0.0, 0.0, 0)
        for place in places:
            gpu = place.gpu
            if any(map(in_use, place.gpus)):
                continue
            if not self._could_fit(self._need_bytes(function, gpu), place, function.backbone):
                continue
            wait_s = 0.0 if gpu.node.caches(function.backbone.name) else gpu.node.storage_wait_s
            there = [instance for one in place.gpus for instance in one.instances.values()]
            last_used_s = max((i.last_used_s for i in there), default=0.0)
            start_s = wait_s + self._estimates.start_s(function, NOTHING, gpu)
            key = (bool(there), start_s, last_used_s, gpu.index)
            if best is None or key < best_key:
                best, best_key = place, key
        return Placement.at(best) if best is not None else None
