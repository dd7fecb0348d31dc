"""The front end: requests arrive, batches are formed, and work is bound to an instance, held back or turned away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from math import inf
from typing import TYPE_CHECKING

import simpy

from simlora.actions import Binding, ColdStart, Dispatch, Hold, Reject, ToInstance, Wait
from simlora.cluster.hardware import Gpu
from simlora.cluster.processes import Instance
from simlora.cluster.queues import Queues
from simlora.engine.checks import check_formed, check_route_to, check_until, refuse_answer
from simlora.entities import Function, QueuedRequest
from simlora.events import CauseKind, RequestRejected
from simlora.results.recorder import REJECTED, TIMED_OUT

if TYPE_CHECKING:
    from simlora.engine.engine import Engine


class FrontEnd:
    """Queues of the whole system. Work that found no place is held back until something that concerns it changes."""

    def __init__(self, engine: Engine):
        self._engine = engine
        self._env = engine.env
        self._cluster = engine.cluster
        self._batching = engine.policies["batching"]
        self._routing = engine.policies["routing"]
        self._forms_batches = self._routing.binding is Binding.ON_DISPATCH
        self._alarm: simpy.Event | None = None
        self._alarm_s = inf
        self._places = engine.places
        self._short: dict[Function, None] = {}
        self._short_on: dict[Gpu, dict[Function, None]] = {}
        self._look_again_at: dict[Function, None] = {}
        self._retry: simpy.Event | None = None
        self._timeout_s = engine.system.limits.queue_timeout_s
        self._deadlines: list[tuple[float, int, QueuedRequest]] = []
        self._watching = False

    # ------------------------------------------------------------------ arrive

    def arrive(self, request: QueuedRequest) -> None:
        """A request is here."""
        engine, function = self._engine, request.function
        for policy in engine.arrival_observers:
            policy.observe_arrival(function, request.arrived_s)
        engine.planner.notice(CauseKind.ARRIVED, function)
        if not engine.reservations.can_ever_hold(request):
            self.reject(request, "its KV fits no GPU")
            return
        engine.scaler.has_work(function)
        if function in self._cluster.held_back.by_function:
            self._cluster.held_back.push(request)
            self._set_deadline(request)
        else:
            self._cluster.front.push(request)
            self._set_deadline(request)
            if self._forms_batches:
                self.dispatch()
            else:
                self._route((request,), function)

    def _set_deadline(self, request: QueuedRequest) -> None:
        if self._timeout_s is not None:
            heappush(self._deadlines, (request.arrived_s + self._timeout_s, request.index, request))
            if not self._watching:
                self._watch_deadline()

    def _watch_deadline(self) -> None:
        """One timer, for the oldest request that still waits."""
        while self._deadlines and not self._queue_of(self._deadlines[0][2]):
            heappop(self._deadlines)
        self._watching = bool(self._deadlines)
        if self._watching:
            wait_s = max(0.0, self._deadlines[0][0] - self._env.now)
            self._env.timeout(wait_s).callbacks.append(self._time_out)

    def _queue_of(self, request: QueuedRequest) -> Queues | None:
        for queues in (self._cluster.front, self._cluster.held_back):
            if request in queues.by_function.get(request.function, ()):
                return queues
        return None

    def _time_out(self, timer: simpy.Event) -> None:
        while self._deadlines and self._deadlines[0][0] <= self._env.now:
            request = heappop(self._deadlines)[2]
            if queues := self._queue_of(request):
                queues.remove(request)
                self._engine.resolve(request.index, TIMED_OUT)
        self._watch_deadline()

    def reject(self, request: QueuedRequest, why: str) -> None:
        self._engine.happened(RequestRejected(self._env.now, request.function, request.index, why))
        self._engine.resolve(request.index, REJECTED)

    # ------------------------------------------------------------------ form batches

    def dispatch(self) -> None:
        """Ask for batches until the policy would rather wait."""
        front, cluster = self._cluster.front, self._cluster
        if not cluster.gpus:
            for function in list(front.by_function):
                self._hold_back(function, short=True)
        while front.by_function:
            decision = self._batching.next_batch(None, front, cluster)
            if isinstance(decision, Dispatch):
                self._route(decision.admit, check_formed(self._batching, decision, front, self._env.now))
            elif isinstance(decision, Wait):
                self._wait(decision.until_s)
                return
            else:
                refuse_answer(self._batching, decision, (Dispatch, Wait), "next_batch", self._env.now)

    def _wait(self, until_s: float | None) -> None:
        now_s = self._env.now
        check_until(self._batching, until_s, now_s)
        if until_s is None or until_s >= self._alarm_s:
            return
        self._alarm_s = until_s
        self._alarm = self._env.timeout(until_s - now_s)
        self._alarm.callbacks.append(self._ring)

    def _ring(self, alarm: simpy.Event) -> None:
        if alarm is self._alarm:
            self._alarm, self._alarm_s = None, inf
            self.dispatch()

    # ------------------------------------------------------------------ route

    def _route(self, work: Sequence[QueuedRequest], function: Function) -> None:
        cluster = self._cluster
        if not cluster.gpus:
            self._hold_back(function, short=True)
            return
        answer = self._routing.route(work, function, cluster)
        if isinstance(answer, ToInstance):
            instance = check_route_to(self._routing, answer.instance, function, cluster)
            if self._engine.starter.bind(work, instance):
                self._engine.record.bound(work, answer.why)
            else:
                for one in cluster.instances_of(function).values():
                    for gpu in one.step_gpus:
                        self._short_on.setdefault(gpu, {})[function] = None
                self._hold_back(function, short=self._engine.reservations.lacks_host(instance))
        elif isinstance(answer, ColdStart):
            if self._engine.starter.cold_start(work, function, answer.why):
                self._engine.record.bound(work, answer.why)
            else:
                self._hold_back(function, short=not self._places.wait(function))
        elif isinstance(answer, Hold):
            self._hold_back(function, short=False)
        elif isinstance(answer, Reject):
            for request in work:
                cluster.front.remove(request)
                self.reject(request, answer.why)
        else:
            kinds = (ToInstance, ColdStart, Hold, Reject)
            refuse_answer(self._routing, answer, kinds, "route", self._env.now)

    def _hold_back(self, function: Function, short: bool) -> None:
        """Until a change concerns it: of its instances, their GPUs' memory or a place; if ``short``, of any memory."""
        if short:
            self._short[function] = None
        self._cluster.front.move_to(self._cluster.held_back, function)

    # ------------------------------------------------------------------ changes that concern held work

    def withdraw(self, request: QueuedRequest) -> None:
        """It waits here no longer."""
        queues = self._queue_of(request)
        if queues is not None:
            queues.remove(request)

    def give_back(self, request: QueuedRequest) -> None:
        """A bound request that could not run, or whose work failed, returns: it is looked at when memory is free."""
        self._cluster.held_back.push(request)
        self._short[request.function] = None
        self._set_deadline(request)

    def anew(self, request: QueuedRequest) -> None:
        """A request that was preempted is routed like a newcomer; having run, it no longer times out."""
        self._cluster.held_back.push(request)
        self._look_again_at[request.function] = None
        self._look_again_soon()

    def instance_changed(self, instance: Instance) -> None:
        """It became ready or idle, finished a request or ended: held work that it could serve is looked at again."""
        held = self._cluster.held_back.by_function
        if held:
            served = (instance.function,) if instance.function is not None else held
            for function in served:
                if function in held and instance.serves(function):
                    self._look_again_at[function] = None
            self._look_again_soon()

    def memory_freed(self, gpus: Sequence[Gpu]) -> None:
        """On these GPUs, of one node: work that was short of it, or may have a place now, is looked at again."""
        if not (self._short or self._short_on or self._places.nowhere):
            return
        concerned = [*self._short, *self._could_fit(gpus), *self._places.changed(gpus)]
        if concerned:
            held = self._cluster.held_back.by_function
            self._look_again_at.update((function, None) for function in concerned if function in held)
            self._look_again_soon()

    def _could_fit(self, gpus: Sequence[Gpu]) -> Iterator[Function]:
        """Held work that was short of memory on one of these GPUs, and would not be if all that may leave it did."""
        held = self._cluster.held_back.by_function
        for gpu in gpus:
            for function in list(self._short_on.get(gpu, ())):
                if function not in held or self._could_take(held[function][0], gpu):
                    del self._short_on[gpu][function]
                    yield function

    def _could_take(self, request: QueuedRequest, gpu: Gpu) -> bool:
        there = [one for one in self._cluster.instances_of(request.function).values() if gpu in one.step_gpus]
        room, reservations = self._engine.room, self._engine.reservations
        if any(gpu not in one.gpus for one in there):
            return True
        return any(reservations.could_fit(one, request, room.evictable_bytes(gpu, one)) for one in there)

    def _look_again_soon(self) -> None:
        """Once for all that changes at this instant, and not in the middle of another decision."""
        if self._look_again_at and self._retry is None:
            self._retry = self._env.timeout(0)
            self._retry.callbacks.append(self._look_again)

    def _look_again(self, retry: simpy.Event) -> None:
        cluster = self._cluster
        functions, self._look_again_at, self._retry = self._look_again_at, {}, None
        for function in functions:
            self._short.pop(function, None)
            cluster.held_back.move_to(cluster.front, function)
        if self._forms_batches:
            self.dispatch()
            return
        for function in functions:
            while queue := cluster.front.by_function.get(function):
                self._route((queue[0],), function)
