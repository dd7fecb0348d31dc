"""Adapters of engines that serve many functions: their places on the device, their loads, and who leaves for them.

An adapter has its place from the moment its load begins. It is pinned while it loads and while a request of the running
batch uses it; otherwise it stays until the adapter policy names it.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

import simpy

from simlora.actions import AdapterDemand
from simlora.backends.base import Task, WorkFailedError
from simlora.cluster.processes import Instance
from simlora.engine.checks import check_answer, check_leaving, check_load, refuse
from simlora.entities import Function, QueuedRequest
from simlora.events import AdapterEvicted, AdapterLoaded, CauseKind

if TYPE_CHECKING:
    from simlora.engine.engine import Engine

Life = Generator[simpy.Event, Any, None]


class Adapters:
    """Places, loads and evicts them."""

    def __init__(self, engine: Engine):
        self._engine = engine
        self._env = engine.env
        self._cluster = engine.cluster
        self._policy = engine.policies["adapters"]
        self._asks_when_unused: bool = self._policy.when_unused
        self._bytes = engine.estimates.adapter_place_bytes
        self._faults: dict[tuple[int, Function], str] = {}

    # ------------------------------------------------------------------ requests that join and leave

    def admit(self, instance: Instance, requests: Sequence[QueuedRequest], policy: Any) -> Sequence[Function]:
        """Pin the adapters of requests about to join and give a place to those that have none, which are returned."""
        missing: dict[Function, int] = {}
        for request in requests:
            function = request.function
            if function in instance.adapters:
                self._pin(instance, function)
            else:
                missing[function] = missing.get(function, 0) + 1
        need_bytes = sum(self._bytes(function) for function in missing)
        if instance.adapter_memory is instance.kv:
            need_bytes += sum(map(self._engine.estimates.request_bytes, requests))
        if not self.make_room(instance, need_bytes):
            refuse(policy, self._env.now, f"admits {list(requests)} to {instance}, which has no room for that")
        for function, users in missing.items():
            self._place(instance, function, users)
        return list(missing)

    def _pin(self, instance: Instance, function: Function) -> None:
        users = instance.adapters.pop(function)
        instance.adapters[function] = users + 1
        if not users and function not in instance.loading:
            self._count_use(instance, function, 1)

    def unpin(self, instance: Instance, function: Function) -> None:
        """A request that uses it has left the running batch."""
        users = instance.adapters.pop(function) - 1
        instance.adapters[function] = users
        if not users and function not in instance.loading:
            self._count_use(instance, function, -1)

    def _count_use(self, instance: Instance, function: Function, change: int) -> None:
        instance.idle_adapter_bytes -= change * self._bytes(function)
        ranks = instance.ranks_in_use
        ranks[function.rank] = ranks.get(function.rank, 0) + change
        if not ranks[function.rank]:
            del ranks[function.rank]

    def _place(self, instance: Instance, function: Function, users: int) -> None:
        size_bytes = self._bytes(function)
        instance.adapter_memory.take(size_bytes)
        instance.adapter_bytes += size_bytes
        instance.adapters[function] = users

    # ------------------------------------------------------------------ loads

    def begin(self, instance: Instance, function: Function, ahead: bool) -> simpy.Process:
        """Load an adapter into the place it has; the event fires when it has arrived."""
        load = self._env.process(self._load(instance, function, ahead))
        instance.loading[function] = load
        return load

    def _load(self, instance: Instance, function: Function, ahead: bool) -> Life:
        engine, began_s = self._engine, self._env.now
        task: Task | None = None
        try:
            source = yield from engine.start_up.find(function.adapter, instance)
            task = engine.backend.load_adapter(instance, function, source)
            yield task.done
        except simpy.Interrupt:
            if task is not None:
                task.stop()
            return
        except WorkFailedError as error:
            self._cannot_load(instance, function, str(error))
            return
        engine.reservations.keep_on_host(instance, function)
        del instance.loading[function]
        now_s, where = self._env.now, (instance.id, function, instance.gpu.index)
        engine.happened(AdapterLoaded(now_s, *where, now_s - began_s, function.adapter.bytes, source, ahead))
        instance.idle_adapter_bytes += self._bytes(function)
        if instance.adapters[function]:
            self._count_use(instance, function, 1)
        engine.joining.adapter_arrived(instance, function)
        engine.planner.notice(CauseKind.LOAD_FINISHED, function, instance.id)

    def _cannot_load(self, instance: Instance, function: Function, why: str) -> None:
        """Requests that wait for it leave the batch: at once, or at the next step boundary if steps are under way."""
        del instance.loading[function]
        self._faults[instance.id, function] = why
        if instance.run is None:
            self._give_up(instance, function)
        else:
            instance.planned_loads[function] = None
        self._engine.server.rouse(instance)

    def _give_up(self, instance: Instance, function: Function) -> None:
        del instance.adapters[function]
        instance.adapter_memory.give(self._bytes(function))
        instance.adapter_bytes -= self._bytes(function)
        self._engine.failing.adapter_failed(instance, function, self._faults.pop((instance.id, function)))

    def load_ahead(self, instance: Instance, function: Function, policy: Any) -> None:
        """A load that nobody in the batch waits for: at once, or at the next step boundary if steps are under way.

        Until that boundary KV grows in memory that is not counted yet.
        """
        left_bytes = instance.adapter_room_bytes - self._bytes(function)
        check_load(policy, instance, function, left_bytes, self._cluster)
        if instance.run is None:
            self._begin_ahead(instance, function)
        else:
            instance.planned_loads[function] = None
            self._engine.server.rouse(instance)

    def begin_planned(self, instance: Instance) -> None:
        """Its steps have come to a boundary; KV that has grown meanwhile goes before adapters loaded ahead."""
        planned, instance.planned_loads = instance.planned_loads, {}
        for function in planned:
            if (instance.id, function) in self._faults:
                self._give_up(instance, function)
            elif function not in instance.adapters:
                self._begin_ahead(instance, function)

    def _begin_ahead(self, instance: Instance, function: Function) -> None:
        if self.make_room(instance, self._bytes(function)):
            self._place(instance, function, 0)
            self.begin(instance, function, ahead=True)

    def end(self, instance: Instance) -> None:
        """The process ends: what is on its way to it goes nowhere."""
        for load in instance.loading.values():
            load.interrupt()

    # ------------------------------------------------------------------ who leaves

    def make_room(self, instance: Instance, need_bytes: int) -> bool:
        """Whether so much is free where its adapters lie, once unused ones have left if need be."""
        short_bytes = need_bytes - instance.adapter_memory.free_bytes
        if short_bytes <= 0:
            return True
        if short_bytes > instance.idle_adapter_bytes:
            return False
        self._ask(instance, short_bytes)
        return True

    def make_way(self, instance: Instance, need_bytes: int) -> bool:
        """Whether so much is free for KV that grows, which it is not unless adapters share its memory."""
        return instance.adapter_memory is instance.kv and self.make_room(instance, need_bytes)

    def tidy(self, instance: Instance) -> None:
        """Requests have left the batch: a policy that wants to look at what is unused then does."""
        if self._asks_when_unused and instance.idle_adapter_bytes:
            self._ask(instance, 0)

    def _ask(self, instance: Instance, need_bytes: int) -> None:
        policy, now_s = self._policy, self._env.now
        loading = instance.loading
        idle = {f: self._bytes(f) for f, users in instance.adapters.items() if not users and f not in loading}
        leaving = policy.leaving(AdapterDemand(instance, need_bytes, idle), self._cluster)
        check_answer(policy, leaving, Sequence, "leaving", now_s)
        check_leaving(policy, leaving, idle, need_bytes, now_s)
        for function in leaving:
            self._evict(instance, function, "for others" if need_bytes else "unused")

    def drop(self, instance: Instance, function: Function, policy: Any, why: str) -> None:
        """A plan evicts an adapter."""
        if instance.adapters.get(function, 1) or function in instance.loading:
            refuse(policy, self._env.now, f"drops the adapter of {function.id} from {instance}: absent or in use")
        self._evict(instance, function, why)

    def _evict(self, instance: Instance, function: Function, why: str) -> None:
        size_bytes = self._bytes(function)
        del instance.adapters[function]
        instance.adapter_memory.give(size_bytes)
        instance.adapter_bytes -= size_bytes
        instance.idle_adapter_bytes -= size_bytes
        where = instance.id, function, instance.gpu.index
        self._engine.happened(AdapterEvicted(self._env.now, *where, function.adapter.bytes, why))
