"""The clock of an instance on several GPUs: a step goes on everywhere at once, as fast as the slowest GPU lets it."""

from __future__ import annotations

from collections.abc import Sequence

import simpy

from simlora.backends.gpu_clock import GpuClock, Run, Segment
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
        for part in self._parts:
            part.admit(self, segment)
        return run

    def pace(self) -> None:
        """A GPU's load has changed."""
        slowdown = max(part.slowdown for part in self._parts)
        if slowdown != self._slowdown:
            self._advance(self._now_v())
            self._slowdown = slowdown
            self._arm()

    def _share(self) -> None:
        """Its run has begun, or has ended: what it leaves is the others'."""
        if self._runs:
            self._slowdown = max(part.slowdown for part in self._parts)
        else:
            for part in self._parts:
                part.dismiss(self)
        self._arm()
