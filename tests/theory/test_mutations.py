"""The judgement can fail: each of these faults, planted in the engine, is found out by a queue with a known answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from simlora.actions import Dispatch
from simlora.backends.gpu_clock import GpuClock
from simlora.backends.segments import Decoding, SimulatedRun
from simlora.engine.batches import Batches
from simlora.engine.engine import Engine
from simlora.engine.frontend import FrontEnd
from simlora.engine.serving import Server
from simlora.errors import SimloraError
from simlora.latency.contention import GpuShare, TimeSlice
from simlora.policies.batching import Fifo
from simlora.policies.routing import RoundRobin

pytestmark = pytest.mark.usefixtures("no_hang")
Make = Callable[..., Any]
Plant = Callable[[pytest.MonkeyPatch], None]
LOAD = 0.5
SINGLE, SHARED, PAIR, FILLED = "M/D/1", "M/D/1-PS", "M/M/2", "M/D/2-PS"
COUNT = {SINGLE: 30_000, SHARED: 60_000, PAIR: 50_000, FILLED: 30_000}
SQUARE_WITHIN = 0.2


def service_3_percent_slower(patch: pytest.MonkeyPatch) -> None:
    solo_s = SimulatedRun.solo_s
    patch.setattr(SimulatedRun, "solo_s", lambda self, steps: 1.03 * solo_s(self, steps))


def service_3_percent_faster(patch: pytest.MonkeyPatch) -> None:
    solo_s = SimulatedRun.solo_s
    patch.setattr(SimulatedRun, "solo_s", lambda self, steps: 0.97 * solo_s(self, steps))


def every_thirtieth_is_served_twice(patch: pytest.MonkeyPatch) -> None:
    left = Decoding.left_after_prefill

    def twice(self: Decoding, request: Any) -> int:
        return left(self, request) * (1 + (request.index % 30 == 0))

    patch.setattr(Decoding, "left_after_prefill", twice)


def every_fiftieth_wake_up_is_lost(patch: pytest.MonkeyPatch) -> None:
    rouse, count = Server.rouse, [0]

    def sometimes(self: Server, instance: Any) -> None:
        count[0] += 1
        if count[0] % 50:
            rouse(self, instance)

    patch.setattr(Server, "rouse", sometimes)


def one_wake_up_is_lost(patch: pytest.MonkeyPatch) -> None:
    rouse, count = Server.rouse, [0]

    def but_one(self: Server, instance: Any) -> None:
        count[0] += 1
        if count[0] != 1000:
            rouse(self, instance)

    patch.setattr(Server, "rouse", but_one)


def held_work_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(FrontEnd, "instance_changed", lambda self, instance: None)


def every_tenth_completion_is_late(patch: pytest.MonkeyPatch) -> None:
    ended, count = SimulatedRun.ended, [0]

    def late(self: SimulatedRun, first_step_s: float) -> None:
        count[0] += 1
        if count[0] % 10:
            ended(self, first_step_s)
        else:
            self.done.env.timeout(0.5).callbacks.append(lambda timer: ended(self, first_step_s))

    patch.setattr(SimulatedRun, "ended", late)


def one_ends_twice(patch: pytest.MonkeyPatch) -> None:
    resolve = Engine.resolve

    def twice(self: Engine, request: int, outcome: int) -> None:
        resolve(self, request, outcome)
        if request == 500:
            resolve(self, request, outcome)

    patch.setattr(Engine, "resolve", twice)


def memory_is_freed_twice(patch: pytest.MonkeyPatch) -> None:
    release = Batches.release

    def twice(self: Batches, instance: Any, request: Any) -> None:
        size_bytes = instance.held[request.index]
        release(self, instance, request)
        instance.kv.give(size_bytes)

    patch.setattr(Batches, "release", twice)


def memory_is_not_freed(patch: pytest.MonkeyPatch) -> None:
    release = Batches.release

    def grown(self: Batches, instance: Any, request: Any) -> None:
        release(self, instance, request)
        instance.kv.take(10_000_000)

    patch.setattr(Batches, "release", grown)


def last_come_first_served(patch: pytest.MonkeyPatch) -> None:
    next_batch = Fifo.next_batch

    def newest(self: Fifo, at: Any, ready: Any, view: Any) -> Any:
        if at is not None or not ready.by_function:
            return next_batch(self, at, ready, view)
        return Dispatch([next(iter(ready.by_function.values()))[-1]])

    patch.setattr(Fifo, "next_batch", newest)


def contention_overlooks_one(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(TimeSlice, "slowdown", lambda self, gpu_shares, count: float(max(1, count - 1)))


def no_contention(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(TimeSlice, "slowdown", lambda self, gpu_shares, count: 1.0)


def host_time_is_not_filled(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(GpuShare, "slowdown", TimeSlice.slowdown)


def a_gpu_gives_5_percent_more_than_it_has(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(GpuShare, "slowdown", lambda self, gpu_shares, count: max(1.0, 0.95 * gpu_shares))


def those_who_stay_do_not_speed_up(patch: pytest.MonkeyPatch) -> None:
    share = GpuClock._share

    def slower_only(self: GpuClock) -> None:
        before = self._slowdown
        share(self)
        if self._runs and self._slowdown < before:
            self._slowdown = (self._slowdown + before) / 2
            self._arm()

    patch.setattr(GpuClock, "_share", slower_only)


def a_server_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    route = RoundRobin.route

    class OneOnly:
        def __init__(self, view: Any):
            self._view = view

        def instances_of(self, function: Any) -> Any:
            return dict(list(self._view.instances_of(function).items())[:1])

    def to_the_first(self: RoundRobin, work: Any, function: Any, view: Any) -> Any:
        return route(self, work, function, OneOnly(view))  # type: ignore[arg-type]

    patch.setattr(RoundRobin, "route", to_the_first)


MUTATIONS: list[tuple[Plant, str]] = [
    (service_3_percent_slower, SINGLE),
    (service_3_percent_faster, SINGLE),
    (service_3_percent_slower, SHARED),
    (every_thirtieth_is_served_twice, SINGLE),
    (every_fiftieth_wake_up_is_lost, SINGLE),
    (one_wake_up_is_lost, SINGLE),
    (held_work_is_forgotten, SINGLE),
    (every_tenth_completion_is_late, SINGLE),
    (one_ends_twice, SINGLE),
    (memory_is_freed_twice, SINGLE),
    (memory_is_not_freed, SINGLE),
    (last_come_first_served, SINGLE),
    (contention_overlooks_one, SHARED),
    (no_contention, SHARED),
    (those_who_stay_do_not_speed_up, SHARED),
    (host_time_is_not_filled, FILLED),
    (a_gpu_gives_5_percent_more_than_it_has, FILLED),
    (those_who_stay_do_not_speed_up, FILLED),
    (a_server_is_forgotten, PAIR),
]


def accepted(queue: str, customers: Make, sojourns: Make, judge: Make) -> bool:
    """Whether the mean is the formula's and, for a single server, the mean square of the wait is too."""
    if queue == PAIR:
        inputs = customers(COUNT[queue], 2.0 * LOAD, 4, exponential=True)
        return good(judge(sojourns(inputs, 2), 1.0 / (1.0 - LOAD**2), inputs.controls))
    if queue == FILLED:
        inputs = customers(COUNT[queue], 2.0 * LOAD, 4, exponential=False)
        observed = sojourns(inputs, 22, one_gpu=True, gpu_share=0.5)
        return good(judge(observed, 1.0 / (1.0 - LOAD**2), inputs.controls))
    inputs = customers(COUNT[queue], LOAD, 4, exponential=False)
    if queue == SHARED:
        return good(judge(sojourns(inputs, 22, one_gpu=True), 1.0 / (1.0 - LOAD), inputs.controls))
    observed = sojourns(inputs)
    wait = LOAD / (2.0 * (1.0 - LOAD))
    square = 2.0 * wait**2 + LOAD / (3.0 * (1.0 - LOAD))
    squares = judge((observed - 1.0) ** 2, square, inputs.controls)
    steady = squares.covers and squares.half_width < SQUARE_WITHIN * square
    return good(judge(observed, 1.0 + wait, inputs.controls)) and steady


def good(verdict: Any) -> bool:
    return bool(verdict.narrow and verdict.covers)


@pytest.mark.parametrize("queue", [SINGLE, SHARED, PAIR, FILLED])
def test_the_engine_as_it_is_passes(queue: str, customers: Make, sojourns: Make, judge: Make) -> None:
    assert accepted(queue, customers, sojourns, judge)


@pytest.mark.parametrize(("plant", "queue"), MUTATIONS, ids=lambda value: getattr(value, "__name__", value))
def test_a_fault_is_found_out(
    plant: Plant, queue: str, monkeypatch: pytest.MonkeyPatch, customers: Make, sojourns: Make, judge: Make
) -> None:
    plant(monkeypatch)
    try:
        passed = accepted(queue, customers, sojourns, judge)
    except (SimloraError, RuntimeError):  # StalledError, AccountingError and their like
        passed = False
    assert not passed
