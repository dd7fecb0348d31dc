"""The clocks of instances on several GPUs: a step goes on everywhere at once, or over one GPU after the other."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

import simpy

from simlora.backends.gpu_clock import GpuClock, Load, Run, Segment
from simlora.latency.contention import Contention


class JointClock(GpuClock):
    """Solo-seconds of one instance, which has a share of each of ``parts`` while it runs.

    Sums between layers hold all its GPUs together, so its slowdown is the largest of theirs. Runs that share one of
    them are slowed down as if the instance ran there all of the time, also where another GPU makes it wait.
    """

    __slots__ = ("_parts",)

    def __init__(self, env: simpy.Environment, contention: Contention, stepwise: bool, parts: Sequence[GpuClock]):
        super().__init__(env, contention, stepwise)
        self._parts = parts

    def start(self, segment: Segment) -> Run:
        run = super().start(segment)
        load = self._on_each(segment)
        for part in self._parts:
            part.admit(self, load)
        return run

    def pace(self) -> None:
        """A GPU's load has changed."""
        slowdown = self._of_all()
        if slowdown != self._slowdown:
            self._advance(self._now_v())
            self._slowdown = slowdown
            self._arm()

    def _share(self) -> None:
        """Its run has begun, or has ended: what it leaves is the others'."""
        if self._runs:
            self._slowdown = self._of_all()
        else:
            for part in self._parts:
                part.dismiss(self)
        self._arm()

    def _on_each(self, segment: Segment) -> Load:
        """What the segment is to each of the GPUs."""
        return segment

    def _of_all(self) -> float:
        """How many times slower than alone the instance is now."""
        return max(part.slowdown for part in self._parts)


class Part(NamedTuple):
    """What a segment is to one of several GPUs that it goes over."""

    gpu_share: float


class RelayClock(JointClock):
    """The same where a step goes over one GPU after the other, an equal part of its time on each.

    The other parts' turns are idle time to a GPU, and what slows one of them down slows down one part.
    """

    __slots__ = ()

    def _on_each(self, segment: Segment) -> Load:
        return Part(segment.gpu_share / len(self._parts))

    def _of_all(self) -> float:
        return fmean(part.slowdown for part in self._parts)
