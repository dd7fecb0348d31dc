"""Offloading of whole idle instances, in an order that does not change while they are idle; and of nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from simlora.actions import Demand, Eviction, Stop
from simlora.policies.registry import register
from simlora.views import ClusterView, InstanceState, InstanceView


def idle_on(demand: Demand) -> list[InstanceView]:
    """Instances on the demand's GPU that may be touched, by id."""
    keep = demand.keep.id if demand.keep is not None else -1
    on_gpu = demand.gpu.instances.values()
    idle = [i for i in on_gpu if i.state is InstanceState.IDLE and not i.bound and i.id != keep]
    return sorted(idle, key=lambda instance: instance.id)


def stop_in_turn(instances: Iterable[InstanceView], need_bytes: int, why: str) -> Sequence[Stop]:
    """The first of these whose bytes are enough; nothing if all of them are too little."""
    stops: list[Stop] = []
    freed_bytes = 0
    for instance in instances:
        if freed_bytes >= need_bytes:
            break
        freed_bytes += instance.device_bytes
        stops.append(Stop(instance, why))
    return stops if freed_bytes >= need_bytes else ()


@register("offloading", "none")
@dataclass
class NoOffloading:
    """Nothing leaves: what does not fit waits."""

    def victims(self, demand: Demand, view: ClusterView) -> Sequence[Eviction]:
        return ()


@register("offloading", "lru")
@dataclass
class LeastRecentlyUsed:
    """Whole idle instances, the one whose last batch is longest ago first; nothing if all of them are too little."""

    def victims(self, demand: Demand, view: ClusterView) -> Sequence[Eviction]:
        in_turn = sorted(idle_on(demand), key=lambda i: (i.last_used_s, i.id))
        return stop_in_turn(in_turn, demand.need_bytes, "least recently used")
