"""Random draws by name instead of by order: the same thing meets the same luck in every system (design section 4)."""

from __future__ import annotations

import hashlib
from math import exp
from statistics import NormalDist

_NORMAL = NormalDist()
_RANGE = 1 << 53


def standard_normal(seed: int, *name: object) -> float:
    """One draw from the standard normal distribution, a function of ``seed`` and ``name`` alone."""
    text = "/".join(map(str, (seed, *name)))
    bits = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) >> 11
    return _NORMAL.inv_cdf((bits + 0.5) / _RANGE)


def spread(sigma: float, seed: int, *name: object) -> float:
    """A log-normal factor with median 1 and ``sigma`` of its logarithm."""
    return exp(sigma * standard_normal(seed, *name)) if sigma > 0 else 1.0
