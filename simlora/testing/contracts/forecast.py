"""What a forecast may say."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from simlora.testing.contracts.base import PolicyContract, unchanged
from simlora.testing.worlds import World

LATER_S = (0.0, 1.0, 1e5)


class ForecastContract(PolicyContract):
    """Rates are finite and not negative, zero before the first arrival, and untouched by being asked for."""

    role = "forecast"

    def questions(self, policy: Any, world: World) -> Iterator[tuple[Any, Any]]:
        called = [function for function, _ in world.arrivals]
        for function in world.view.functions:
            rate_per_s = policy.rate_per_s(function, world.view.now_s)
            assert rate_per_s == 0 or function in called, f"a rate of {rate_per_s}/s before the first arrival"
        for function in world.view.functions:
            for later_s in LATER_S:
                now_s = world.view.now_s + later_s
                yield (function, now_s), unchanged(policy.rate_per_s, function, now_s)

    def check(self, policy: Any, asked: Any, answer: float, world: World) -> None:
        assert math.isfinite(answer), f"a rate of {answer}/s"
        assert answer >= 0, f"a rate of {answer}/s"
