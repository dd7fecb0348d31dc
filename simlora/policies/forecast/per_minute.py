"""Rates from counts per minute: an exponential average, and a network that was trained on real functions.

Both look at the full minutes before the present one.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from simlora.entities import Function
from simlora.policies.forecast.network import shipped
from simlora.policies.registry import register

MINUTE_S = 60.0


@register("forecast", "ewma")
@dataclass
class Ewma:
    """The exponential average of counts per minute, ``weight`` being that of the last one. Assumption: its weight."""

    weight: float = 0.3
    _last: dict[Function, tuple[int, int, float]] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )  # the minute of its last call, calls in it, the average before it

    def __post_init__(self) -> None:
        if not 0 < self.weight <= 1:
            raise ValueError(f"weight must be more than 0 and at most 1 (found {self.weight})")

    def observe_arrival(self, function: Function, at_s: float) -> None:
        minute = int(at_s // MINUTE_S)
        last, count, _ = self._last.get(function, (minute, 0, 0.0))
        self._last[function] = (minute, count + 1 if minute == last else 1, self._average(function, minute))

    def rate_per_s(self, function: Function, now_s: float) -> float:
        return self._average(function, int(now_s // MINUTE_S)) / MINUTE_S

    def _average(self, function: Function, minute: int) -> float:
        """Calls per minute, before ``minute``."""
        last, count, average = self._last.get(function, (minute, 0, 0.0))
        if minute <= last:
            return average
        return float((average + self.weight * (count - average)) * (1 - self.weight) ** (minute - last - 1))


class _Counts:
    """Arrivals of each function in the last so many minutes."""

    def __init__(self, minutes: int) -> None:
        self._minutes = minutes
        self._by_function: dict[Function, deque[list[int]]] = {}

    def add(self, function: Function, at_s: float) -> None:
        """One arrival; arrivals come in order."""
        minute = int(at_s // MINUTE_S)
        counts = self._by_function.setdefault(function, deque())
        if not counts or counts[-1][0] != minute:
            counts.append([minute, 0])
        counts[-1][1] += 1
        while counts[0][0] < minute - self._minutes:
            counts.popleft()

    def known(self, function: Function) -> bool:
        """Whether it was ever called."""
        return function in self._by_function

    def before(self, function: Function, minute: int) -> list[int]:
        """Its counts of the minutes before ``minute``, the oldest first."""
        window = [0] * self._minutes
        for at, count in self._by_function[function]:
            if minute - self._minutes <= at < minute:
                window[at - minute] = count
        return window

    def windows(self, minute: int) -> dict[Function, list[int]]:
        """Those of all functions that were called in them."""
        since = minute - self._minutes
        recent = [function for function, counts in self._by_function.items() if counts[-1][0] >= since]
        windows = {function: self.before(function, minute) for function in recent}
        return {function: window for function, window in windows.items() if any(window)}


@register("forecast", "lstm")
@dataclass
class Lstm:
    """The chance of a call in the present minute, from the counts of the ten before, as the rate of a Poisson process.

    Source: the network of Predictive-LoRA (arXiv 2512.20210), two LSTM layers of 64 and a linear one, with weights of
    its own: trained on Azure Functions 2019 by ``calibrate/arrivals_lstm.py``. Assumptions: ten minutes, log(1 + count)
    as input. A function that was never called has rate 0.
    """

    _counts: _Counts = field(init=False, repr=False, compare=False, default_factory=lambda: _Counts(shipped().minutes))
    _minute: int = field(init=False, repr=False, compare=False, default=-1)
    _chances: dict[Function, float] = field(init=False, repr=False, compare=False, default_factory=dict)
    _silent: float = field(init=False, repr=False, compare=False, default=0.0)

    def observe_arrival(self, function: Function, at_s: float) -> None:
        self._counts.add(function, at_s)

    def rate_per_s(self, function: Function, now_s: float) -> float:
        if not self._counts.known(function):
            return 0.0
        minute = int(now_s // MINUTE_S)
        if minute != self._minute:
            windows, silence = self._counts.windows(minute), [0] * shipped().minutes
            *chances, self._silent = shipped().chances([*windows.values(), silence])
            self._chances, self._minute = dict(zip(windows, chances, strict=True)), minute
        chance = self._chances.get(function, self._silent)
        return -math.log1p(-min(chance, 1 - 1e-6)) / MINUTE_S
