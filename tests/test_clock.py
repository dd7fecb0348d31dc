"""The wall-clock environment: the order of virtual time, work of threads in its place, sleep that can be cut short."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
import simpy
from simpy.core import EmptySchedule

from simlora.clock import VirtualTime, WallClock


def note(env: simpy.Environment, delays: list[float], seen: list[Any], name: str) -> Generator[simpy.Event, Any, None]:
    for delay_s in delays:
        yield env.timeout(delay_s)
        seen.append((round(env.now, 6), name))


def test_events_come_in_the_order_of_virtual_time_and_no_earlier_than_due() -> None:
    orders = []
    for env in (VirtualTime(), WallClock()):
        seen: list[Any] = []
        for name, delays in (("a", [0.01, 0.02]), ("b", [0.01, 0.01, 0.01]), ("c", [0.03])):
            env.process(note(env, delays, seen, name))
        env.run()
        orders.append(seen)
    assert orders[0] == orders[1]
    assert env.elapsed_s >= 0.03
    assert all(late >= 0 for late in env.lateness_s)


def test_finished_work_is_noticed_while_the_environment_sleeps() -> None:
    env = WallClock()
    seen: list[float] = []

    def wait(work: Future[str]) -> Generator[simpy.Event, Any, None]:
        assert (yield env.when_done(work)) == "done"
        seen.append(env.now)

    with ThreadPoolExecutor(1) as pool:
        env.process(wait(pool.submit(lambda: time.sleep(0.05) or "done")))
        env.timeout(0.5)
        env.run()
    assert 0.05 <= seen[0] < 0.4


def test_work_finished_before_an_event_that_is_late_comes_first() -> None:
    env = WallClock()
    order: list[str] = []
    future: Future[None] = Future()
    env.when_done(future).callbacks.append(lambda _: order.append("work"))
    env.timeout(0.03).callbacks.append(lambda _: order.append("timer"))
    env.timeout(0.0).callbacks.append(lambda _: (future.set_result(None), time.sleep(0.06)))
    env.run()
    assert order == ["work", "timer"]


def test_work_that_fails_fails_its_event() -> None:
    env = WallClock()

    def broken() -> None:
        raise OSError("gone")

    def wait(work: Future[None]) -> Generator[simpy.Event, Any, str]:
        try:
            yield env.when_done(work)
        except OSError as error:
            return str(error)
        return "no failure"

    with ThreadPoolExecutor(1) as pool:
        assert env.run(env.process(wait(pool.submit(broken)))) == "gone"


def test_time_never_runs_backwards() -> None:
    env = WallClock()
    times: list[float] = []
    with ThreadPoolExecutor(4) as pool:
        for i in range(40):
            work = pool.submit(time.sleep, 0.001 * (i % 7))
            env.when_done(work).callbacks.append(lambda _: times.append(env.now))
            env.timeout(0.0013 * i).callbacks.append(lambda _: times.append(env.now))
        env.run()
    assert len(times) == 80
    assert times == sorted(times)


def test_nothing_left_to_happen_is_an_empty_schedule_but_work_under_way_is_not() -> None:
    env = WallClock()
    with pytest.raises(EmptySchedule):
        env.step()
    future: Future[int] = Future()
    event = env.when_done(future)
    threading.Timer(0.02, future.set_result, (7,)).start()
    env.step()
    assert event.value == 7
