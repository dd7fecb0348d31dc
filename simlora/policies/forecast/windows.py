"""Rates from a window of past arrivals: the last so many, or those of the last so many seconds."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from simlora.entities import Function
from simlora.policies.registry import register


@register("forecast", "sliding-window")
@dataclass
class SlidingWindow:
    """Arrivals of a function's last ``invocations`` per second, falling once it stays away longer than usual.

    With n arrivals t_1 ... t_n in the window the rate is the lesser of (n - 1) / (t_n - t_1) and n / (now - t_1); the
    second is the lesser as soon as the time since t_n exceeds the mean gap. Source: InstaInfer's estimate W / T_W over
    its last W invocations, with little difference reported between windows of 10, 20 and 30. Assumptions: the fall, and
    the rate of a function whose arrivals span no time: n / max(now - t_1, ``first_gap_s``).
    """

    invocations: int = 10
    first_gap_s: float = 60.0
    _arrived_s: dict[Function, deque[float]] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        if self.invocations < 2:
            raise ValueError(f"invocations must be at least 2 (found {self.invocations})")
        if not 0 < self.first_gap_s < math.inf:
            raise ValueError(f"first_gap_s must be a finite number, more than 0 (found {self.first_gap_s})")

    def observe_arrival(self, function: Function, at_s: float) -> None:
        window = self._arrived_s.get(function)
        if window is None:
            window = self._arrived_s[function] = deque(maxlen=self.invocations)
        window.append(at_s)

    def rate_per_s(self, function: Function, now_s: float) -> float:
        window = self._arrived_s.get(function)
        if not window:
            return 0.0
        first_s, arrivals = window[0], len(window)
        span_s = window[-1] - first_s
        if span_s <= 0:
            return arrivals / max(now_s - first_s, self.first_gap_s)
        return min((arrivals - 1) / span_s, arrivals / (now_s - first_s))


@register("forecast", "count-window")
@dataclass
class CountWindow:
    """Arrivals of the last ``window_s`` seconds, divided by them. Source: SwarmLoRA (60 s)."""

    window_s: float = 60.0
    _arrived_s: dict[Function, deque[float]] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 < self.window_s < math.inf:
            raise ValueError(f"window_s must be a finite number, more than 0 (found {self.window_s})")

    def observe_arrival(self, function: Function, at_s: float) -> None:
        window = self._arrived_s.setdefault(function, deque())
        while window and window[0] <= at_s - self.window_s:
            window.popleft()
        window.append(at_s)

    def rate_per_s(self, function: Function, now_s: float) -> float:
        since_s = now_s - self.window_s
        recent = 0
        for at_s in reversed(self._arrived_s.get(function, ())):
            if at_s <= since_s:
                break
            recent += 1
        return recent / self.window_s
