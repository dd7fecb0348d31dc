"""What is still to come, for the policies that are told: references, not systems."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from math import inf

from simlora.entities import Function, QueuedRequest


class Future:
    """All calls of a run by function, past ones included, and how many tokens each produces.

    Times are in seconds from the run's start; ``tokens[i]`` is what the i-th request of the run produces.
    """

    def __init__(self, calls: Iterable[tuple[Function, float]], tokens: Sequence[int] = ()) -> None:
        self._tokens = tokens
        self._at_s: dict[Function, list[float]] = {}
        for function, at_s in calls:
            self._at_s.setdefault(function, []).append(at_s)
        for times in self._at_s.values():
            times.sort()

    def next_s(self, function: Function, now_s: float, skipped: int = 0) -> float:
        """When the function is called next after ``now_s``, ``skipped`` calls left out; inf if never."""
        times = self._at_s.get(function, ())
        at = bisect_right(times, now_s) + skipped
        return times[at] if at < len(times) else inf

    def output_tokens(self, request: QueuedRequest) -> int:
        """What it will have produced in all."""
        return self._tokens[request.index]

    def calls(self, function: Function, after_s: float, until_s: float) -> int:
        """How often it is called after one time, up to and including another."""
        times = self._at_s.get(function, ())
        return bisect_right(times, until_s) - bisect_right(times, after_s)
