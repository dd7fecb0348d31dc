"""How irregular a function's arrivals are: inter-arrival times from minute counts, their CoV, its class.

The estimator is the one published by the authors of InstaInfer, whose later paper (ServerlessLoRA, arXiv 2505.14468)
names the three classes: github IntelliSys-Lab/InstaInfer-SoCC24 (Apache-2.0), commit c80c3b6,
``demo/Select_Trace_5min.py``.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from simlora.workload.workload import Ints

PATTERNS = ("predictable", "normal", "bursty")
PREDICTABLE_UP_TO = 1.0
NORMAL_UP_TO = 4.0
LEAST_MEAN_GAP_MIN, MOST_MEAN_GAP_MIN = 0.01, 10.0
"""The authors' range of mean inter-arrival times, minutes (same script)."""


class Variability(NamedTuple):
    """Mean (minutes) and CoV (population standard deviation / mean) of inter-arrival times; NaN without arrivals."""

    mean_gap_min: float
    cov: float

    @property
    def pattern(self) -> str:
        """predictable (CoV <= 1), normal (<= 4) or bursty."""
        return pattern_of(self.cov)


def pattern_of(cov: float) -> str:
    """The class of a CoV; a function without arrivals (NaN) is predictable."""
    if cov > NORMAL_UP_TO:
        return "bursty"
    return "normal" if cov > PREDICTABLE_UP_TO else "predictable"


def variability(counts: Ints) -> Variability:
    """Of invocations per minute, by the authors' rule.

    A minute with n invocations after z >= 1 empty ones gives one gap of z + 1 minutes and n - 1 of 1 / (n - 1); any
    other minute with n gives n gaps of 1 / n. Leading empty minutes count, trailing ones do not.
    """
    minute = np.flatnonzero(counts)
    if not len(minute):
        return Variability(math.nan, math.nan)
    invocations = counts[minute].astype(np.float64)
    waited = np.diff(minute, prepend=-1)
    fresh = waited > 1
    within = invocations - fresh
    gaps = np.concatenate([waited[fresh].astype(np.float64), 1.0 / np.maximum(within, 1.0)])
    weights = np.concatenate([np.ones(int(fresh.sum())), within])
    total = weights.sum()
    mean = float(weights @ gaps / total)
    return Variability(mean, math.sqrt(float(weights @ (gaps - mean) ** 2 / total)) / mean)


def eligible(counts: Ints, found: Variability) -> bool:
    """Would the authors' selection consider this window: two invocations and a mean gap in their range."""
    return int(counts.sum()) >= 2 and LEAST_MEAN_GAP_MIN <= found.mean_gap_min <= MOST_MEAN_GAP_MIN
