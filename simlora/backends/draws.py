"""Random draws by name instead of by order: the same thing meets the same luck in every system (design section 4)."""

from __future__ import annotations

from math import exp
from statistics import NormalDist

from simlora.names import number_of

_NORMAL = NormalDist()
_RANGE = 1 << 53


def standard_normal(seed: int, *name: object) -> float:
    """One draw from the standard normal distribution, a function of ``seed`` and ``name`` alone."""
    bits = number_of(seed, *name) >> 11
    return _NORMAL.inv_cdf((bits + 0.5) / _RANGE)


def spread(sigma: float, seed: int, *name: object) -> float:
    """A log-normal factor with median 1 and ``sigma`` of its logarithm."""
    return exp(sigma * standard_normal(seed, *name)) if sigma > 0 else 1.0
