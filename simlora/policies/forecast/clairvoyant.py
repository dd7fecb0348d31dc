"""Rates from what is still to come: references, exact or with stated errors."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field

from simlora.entities import Function
from simlora.policies.base import PolicyContext
from simlora.policies.foresight import Future
from simlora.policies.registry import register

RANGE = 1 << 53


@register("forecast", "clairvoyant-rate")
@dataclass
class ClairvoyantRate:
    """Calls of the next ``horizon_s`` seconds, divided by them: a reference that knows the future."""

    horizon_s: float = 300.0
    _future: Future = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 0 < self.horizon_s < math.inf:
            raise ValueError(f"horizon_s must be a finite number, more than 0 (found {self.horizon_s})")

    def foresee(self, future: Future) -> None:
        self._future = future

    def observe_arrival(self, function: Function, at_s: float) -> None:
        """Known before."""

    def rate_per_s(self, function: Function, now_s: float) -> float:
        return self._future.calls(function, now_s, now_s + self.horizon_s) / self.horizon_s


@register("forecast", "clairvoyant-noisy-rate")
@dataclass
class NoisyRate(ClairvoyantRate):
    """The same, but for a share 1 - ``accuracy`` of functions and spans of ``horizon_s`` it says the opposite.

    Where there will be calls it then says none, and where there will be none it says one. A stand-in for a predictor of
    which only the share of right answers is known. The first span of a function without past calls is never wrong.
    """

    horizon_s: float = 60.0
    accuracy: float = 0.8
    _key: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.accuracy <= 1:
            raise ValueError(f"accuracy must be from 0 to 1 (found {self.accuracy})")

    def bind(self, context: PolicyContext) -> None:
        self._key = context.rng.bytes(16)

    def rate_per_s(self, function: Function, now_s: float) -> float:
        rate_per_s = super().rate_per_s(function, now_s)
        if not self._future.calls(function, -math.inf, now_s):
            return rate_per_s
        name = f"{function.index}/{int(now_s // self.horizon_s)}"
        drawn = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8, key=self._key).digest()) >> 11
        if drawn < self.accuracy * RANGE:
            return rate_per_s
        return 0.0 if rate_per_s else 1 / self.horizon_s
