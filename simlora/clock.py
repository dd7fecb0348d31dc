"""The environments of a run: SimPy's in virtual time, and the same paced by the wall clock."""

from __future__ import annotations

import time
from array import array
from concurrent.futures import Future
from math import inf
from queue import Empty, SimpleQueue
from typing import Any

import simpy
from simpy.core import EmptySchedule

LONGEST_SLEEP_S = 1.0
"""A sleep is cut into pieces of at most so long, so that Ctrl-C is noticed."""


class VirtualTime(simpy.Environment):
    """SimPy's environment; ``now`` is a slot instead of a property because it is read ten times per event.

    SimPy's own ``_now`` is another name of it.
    """

    __slots__ = ("now",)

    now: float

    def __init__(self) -> None:
        super().__init__()
        # SimPy does this for itself, but not for what is derived from it.
        for maker in ("event", "process", "timeout"):
            setattr(self, maker, getattr(self, maker))

    @property
    def exhausted(self) -> bool:
        """Nothing is going to happen any more."""
        return self.peek() == inf


VirtualTime._now = VirtualTime.now


class WallClock(VirtualTime):
    """Events happen when the wall clock reaches them, and when work done elsewhere is finished.

    ``now`` is the time at which the event under way was due, or its work was finished; the wall clock is later by what
    the events before it took, which ``lateness_s`` records, one number an event that was waited for. Threads only ever
    touch a queue: the events are this environment's own, so a run's decisions are those of one thread.
    """

    __slots__ = ("_began_s", "_finished", "_under_way", "lateness_s")

    def __init__(self) -> None:
        super().__init__()
        self._began_s = time.monotonic()
        self._finished: SimpleQueue[tuple[float, simpy.Event, Future[Any], bool]] = SimpleQueue()
        self._under_way = 0
        self.lateness_s = array("d")

    def begin(self) -> None:
        """The time is 0 now; for use before anything has happened."""
        self._began_s = time.monotonic()

    @property
    def exhausted(self) -> bool:
        return not self._under_way and self.peek() == inf

    @property
    def elapsed_s(self) -> float:
        """Seconds on the wall clock since the environment was made."""
        return self.at_s(time.monotonic())

    def at_s(self, monotonic_s: float) -> float:
        """The time of this environment at a reading of ``time.monotonic``, which all processes of a machine share."""
        return monotonic_s - self._began_s

    def when_done(self, future: Future[Any], awaited: bool = True) -> simpy.Event:
        """An event that happens once the future is done, with its result, or fails with its exception.

        One that is not ``awaited`` may never come: it alone keeps no run from being exhausted.
        """
        event = self.event()
        self._under_way += awaited
        future.add_done_callback(lambda done: self._finished.put((self.elapsed_s, event, done, awaited)))
        return event

    def step(self) -> None:
        """The next event, once it is due. Raises :class:`EmptySchedule` if nothing can happen any more."""
        while not self._finished.empty():
            self._take(0.0)
        while (wait_s := self.peek() - self.elapsed_s) > 0:
            if self.exhausted:
                raise EmptySchedule
            self._take(min(wait_s, LONGEST_SLEEP_S))
        self.lateness_s.append(self.elapsed_s - self.peek())
        super().step()

    def _take(self, wait_s: float) -> None:
        """Put what has been finished meanwhile in its place among the events."""
        try:
            at_s, event, future, awaited = self._finished.get(timeout=wait_s) if wait_s else self._finished.get_nowait()
        except Empty:
            return
        self._under_way -= awaited
        failure = future.exception()
        event._ok, event._value = (True, future.result()) if failure is None else (False, failure)
        self.schedule(event, delay=max(0.0, at_s - self.now))
