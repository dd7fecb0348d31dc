"""The clock of solo-seconds: equal shares under time slicing, host time filled under sharing, exact first steps."""

from __future__ import annotations

from itertools import pairwise
from math import isnan, nan

import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from simlora.backends.gpu_clock import GpuClock, Run
from simlora.latency.contention import Contention, GpuShare, TimeSlice


class Steps:
    """A segment of equal steps after a first one of its own length."""

    def __init__(self, env: simpy.Environment, steps: int, step_s: float = 1.0, first_s: float = 1.0, gpu: float = 1.0):
        self.env = env
        self.steps = steps
        self.step_s = step_s
        self.first_s = first_s
        self.gpu_share = gpu
        self.ended_s = self.first_step_s = nan

    def solo_s(self, steps: int) -> float:
        return self.first_s + (steps - 1) * self.step_s

    def steps_within(self, seconds: float) -> int:
        return 0 if seconds < self.first_s else 1 + int((seconds - self.first_s) / self.step_s)

    def ended(self, first_step_s: float) -> None:
        self.ended_s, self.first_step_s = self.env.now, first_step_s


def at(env: simpy.Environment, when_s: float, clock: GpuClock, segment: Steps) -> list[Run]:
    """Start the segment then; the run will be in the list."""
    runs = list[Run]()
    env.timeout(when_s).callbacks.append(lambda timer: runs.append(clock.start(segment)))
    return runs


@pytest.fixture(params=[False, True], ids=["merged", "stepwise"])
def stepwise(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def world(contention: Contention, stepwise: bool) -> tuple[simpy.Environment, GpuClock]:
    env = simpy.Environment()
    return env, GpuClock(env, contention, stepwise)


def test_alone_a_segment_takes_its_solo_time(stepwise: bool) -> None:
    env, clock = world(TimeSlice(), stepwise)
    segment = Steps(env, 5, 0.5, 2.0)
    at(env, 3.0, clock, segment)
    env.run()
    assert (segment.ended_s, segment.first_step_s) == (7.0, 5.0)


def test_two_get_half_each_and_the_one_left_gets_all(stepwise: bool) -> None:
    """10 s of work from 0, 3 s from 4: at 10 the second has had its 3, the first 7; its last 3 take 3."""
    env, clock = world(TimeSlice(), stepwise)
    long, short = Steps(env, 10), Steps(env, 3)
    at(env, 0.0, clock, long)
    at(env, 4.0, clock, short)
    env.run()
    assert (short.ended_s, long.ended_s) == pytest.approx((10.0, 13.0))


def test_the_end_of_a_first_step_is_exact_though_shares_change_around_it(stepwise: bool) -> None:
    """A first step of 4 s: alone to 1, half to 5 (3 s done), a third until it has its 4 at 8."""
    env, clock = world(TimeSlice(), stepwise)
    watched, second, third = Steps(env, 2, 10.0, 4.0), Steps(env, 9), Steps(env, 9)
    at(env, 0.0, clock, watched)
    at(env, 1.0, clock, second)
    at(env, 5.0, clock, third)
    env.run()
    assert watched.first_step_s == pytest.approx(8.0)


def test_a_stopped_segment_ends_at_its_next_boundary(stepwise: bool) -> None:
    env, clock = world(TimeSlice(), stepwise)
    segment = Steps(env, 100, 1.0, 2.5)
    runs = at(env, 0.0, clock, segment)
    env.timeout(4.0).callbacks.append(lambda timer: clock.stop(runs[0]))
    env.run(until=50.0)
    assert (segment.steps, segment.ended_s) == (3, 4.5)


def test_stopping_in_the_last_step_or_twice_changes_nothing(stepwise: bool) -> None:
    env, clock = world(TimeSlice(), stepwise)
    segment = Steps(env, 3)
    runs = at(env, 0.0, clock, segment)
    for when_s in (1.2, 1.4, 1.6, 1.9):
        env.timeout(when_s).callbacks.append(lambda timer: clock.stop(runs[0]))
    env.run()
    assert (segment.steps, segment.ended_s) == (2, 2.0)


def test_processes_fill_each_others_host_time(stepwise: bool) -> None:
    """Each keeps the GPU busy for 0.4 of its time: two run as if alone, three at a slowdown of 1.2."""
    env, clock = world(GpuShare(), stepwise)
    segments = [Steps(env, 10, gpu=0.4) for _ in range(3)]
    for segment in segments[:2]:
        at(env, 0.0, clock, segment)
    at(env, 4.0, clock, segments[2])
    env.run()
    ends = [4.0 + 6.0 * 1.2, 4.0 + 6.0 * 1.2, 4.0 + 6.0 * 1.2 + 4.0]
    assert [segment.ended_s for segment in segments] == pytest.approx(ends)


work = st.lists(st.tuples(st.floats(0.0, 20.0), st.integers(1, 9), st.floats(0.05, 2.0)), min_size=1, max_size=7)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(work=work, stepwise=st.booleans())
def test_the_gpu_works_as_long_as_there_is_work(work: list[tuple[float, int, float]], stepwise: bool) -> None:
    """Time slicing loses nothing: the last ends when a queue would have, and who has less to do ends no later."""
    env, clock = world(TimeSlice(), stepwise)
    segments = [Steps(env, steps, step_s, step_s) for _, steps, step_s in work]
    for (when_s, _, _), segment in zip(work, segments, strict=True):
        at(env, when_s, clock, segment)
    env.run()
    free_at_s = 0.0
    for when_s, segment in sorted(zip([w for w, _, _ in work], segments, strict=True), key=lambda pair: pair[0]):
        free_at_s = max(free_at_s, when_s) + segment.solo_s(segment.steps)
    assert max(segment.ended_s for segment in segments) == pytest.approx(free_at_s, rel=1e-9)
    assert not any(isnan(segment.first_step_s) for segment in segments)
    together = [s for (when_s, _, _), s in zip(work, segments, strict=True) if when_s == work[0][0]]
    together.sort(key=lambda segment: segment.solo_s(segment.steps))
    assert all(less.ended_s <= more.ended_s + 1e-9 for less, more in pairwise(together))
