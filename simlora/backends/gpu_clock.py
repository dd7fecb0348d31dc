"""The virtual clock of one GPU: solo-seconds, shared by the runs of isolated processes.

While ``n`` runs are active each advances ``slowdown`` times slower than alone, so a run that takes S solo-seconds from
clock value v ends at v + S whatever comes and goes meanwhile, and one timer per GPU suffices.
"""

from __future__ import annotations

from math import nan
from typing import Protocol

import simpy

from simlora.latency.contention import Contention


class Load(Protocol):
    """What something that runs is to a GPU."""

    @property
    def gpu_share(self) -> float:
        """Fraction of its solo time in which it keeps the GPU busy."""
        ...


class Segment(Load, Protocol):
    """Steps with cumulative solo time: the unit of execution."""

    steps: int

    def solo_s(self, steps: int) -> float: ...
    def steps_within(self, seconds: float) -> int: ...
    def ended(self, first_step_s: float) -> None: ...


class Paced(Protocol):
    """A clock as slow as the GPUs on which its runs are guests."""

    def pace(self) -> None:
        """The slowdown of one of them may have changed."""
        ...


class Run:
    """A segment on the clock; ``next_step`` is the step whose end the clock looks out for."""

    __slots__ = ("first_step_s", "first_v", "next_step", "next_v", "segment", "start_v")

    def __init__(self, segment: Segment, start_v: float, next_step: int):
        self.segment = segment
        self.start_v = start_v
        self.first_v = start_v + segment.solo_s(1)
        self.first_step_s = nan
        self.look_out_for(next_step)

    def look_out_for(self, step: int) -> None:
        self.next_step = step
        self.next_v = self.start_v + self.segment.solo_s(step)


class GpuClock:
    """Runs the segments of one GPU; ``stepwise`` looks at every step boundary on the way, which changes nothing."""

    __slots__ = (
        "_contention",
        "_env",
        "_guests",
        "_next",
        "_runs",
        "_since_s",
        "_slowdown",
        "_stepwise",
        "_timer",
        "_v",
    )

    def __init__(self, env: simpy.Environment, contention: Contention, stepwise: bool):
        self._env = env
        self._contention = contention
        self._stepwise = stepwise
        self._runs: list[Run] = []
        self._guests: dict[Paced, Load] = {}
        self._v = 0.0
        self._since_s = 0.0
        self._slowdown = 1.0
        self._next: Run | None = None
        self._timer: simpy.Event | None = None

    def start(self, segment: Segment) -> Run:
        """Put a segment on the GPU; its ``ended`` is called when its last step is."""
        self._advance(self._now_v())
        run = Run(segment, self._v, 1 if self._stepwise else segment.steps)
        self._runs.append(run)
        self._share()
        return run

    def stop(self, run: Run) -> None:
        """End the run at its next step boundary."""
        segment = run.segment
        steps = segment.steps_within(self._now_v() - run.start_v) + 1
        if steps < segment.steps:
            segment.steps = steps
            run.look_out_for(min(run.next_step, steps))
            self._arm()

    def abandon(self, run: Run) -> None:
        """The run is gone at once, its ``ended`` never called; one that has ended already is not affected."""
        if run in self._runs:
            self._advance(self._now_v())
            self._runs.remove(run)
            self._share()

    def _now_v(self) -> float:
        if not self._runs:
            return 0.0
        return self._v + (self._env.now - self._since_s) / self._slowdown

    def _advance(self, v: float) -> None:
        """The clock has come to ``v``: note who ended a first step on the way."""
        now_s = self._env.now
        for run in self._runs:
            if run.first_step_s != run.first_step_s and run.first_v <= v:
                run.first_step_s = min(now_s, self._since_s + (run.first_v - self._v) * self._slowdown)
        self._v, self._since_s = v, now_s

    def _share(self) -> None:
        runs = self._runs
        if self._guests:
            self._share_with_guests()
        elif len(runs) > 1:
            shares = 0.0
            for run in runs:
                shares += run.segment.gpu_share
            self._slowdown = self._contention.slowdown(shares, len(runs))
        else:
            self._slowdown = 1.0
        self._arm()

    # ------------------------------------------------------------------ runs on several GPUs, one of which this is

    @property
    def slowdown(self) -> float:
        """How many times slower than alone everything on this GPU is now."""
        return self._slowdown

    def admit(self, clock: Paced, load: Load) -> None:
        """A segment whose own clock is ``clock`` runs here too, and has its share."""
        self._advance(self._now_v())
        self._guests[clock] = load
        self._share()

    def dismiss(self, clock: Paced) -> None:
        """It has ended."""
        self._advance(self._now_v())
        del self._guests[clock]
        self._share()

    def _share_with_guests(self) -> None:
        loads = [*(run.segment for run in self._runs), *self._guests.values()]
        shares = sum(load.gpu_share for load in loads)
        self._slowdown = self._contention.slowdown(shares, len(loads)) if len(loads) > 1 else 1.0
        for clock in self._guests:
            clock.pace()

    def _arm(self) -> None:
        """Set the timer for the next boundary; ties go to the run that began first."""
        runs = self._runs
        if not runs:
            self._timer = self._next = None
            return
        first = runs[0]
        for run in runs:
            if run.next_v < first.next_v:
                first = run
        env = self._env
        wait_s = self._since_s + (first.next_v - self._v) * self._slowdown - env.now
        self._next = first
        self._timer = timer = env.timeout(wait_s if wait_s > 0.0 else 0.0)
        timer.callbacks.append(self._fire)

    def _fire(self, timer: simpy.Event) -> None:
        run = self._next
        if timer is not self._timer or run is None:
            return
        if run.next_step < run.segment.steps:
            run.look_out_for(run.next_step + 1)
            self._arm()
            return
        self._advance(run.next_v)
        self._runs.remove(run)
        self._share()
        run.segment.ended(run.first_step_s)
