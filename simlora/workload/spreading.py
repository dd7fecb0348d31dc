"""From counts per bin (a minute, an hour) to arrival times: what no count can say is the choice of a named rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from simlora.workload.workload import Floats, Ints

Spreader = Callable[[Ints, float, np.random.Generator], Floats]
SpreaderName = Literal["instainfer", "even", "uniform", "poisson"]
LEAST_DELAY_S, MOST_DELAY_S = 1.0, 3.0
"""The delay of a call in the authors' replay script."""


def _place(counts: Ints, bin_s: float) -> tuple[Floats, Floats, Floats]:
    """Of every request: start of its bin (s), its place in the bin from 0, and how many share the bin."""
    shared = np.repeat(counts, counts).astype(np.float64)
    start_s = np.repeat(np.arange(len(counts)) * bin_s, counts)
    place = np.arange(len(shared)) - np.repeat(np.cumsum(counts) - counts, counts)
    return start_s, place.astype(np.float64), shared


def instainfer(counts: Ints, bin_s: float, rng: np.random.Generator) -> Floats:
    """n calls floor(bin / n) s apart from the start of their bin, each delayed by a uniform 1-3 s, then sorted.

    Source: github IntelliSys-Lab/InstaInfer-SoCC24, ``demo/Excute_from_trace_5min.py`` (bins of one minute). More than
    60 calls in a minute therefore come within its first 3 s.
    """
    start_s, place, shared = _place(counts, bin_s)
    return np.sort(start_s + place * np.floor(bin_s / shared) + rng.uniform(LEAST_DELAY_S, MOST_DELAY_S, len(shared)))


def even(counts: Ints, bin_s: float, rng: np.random.Generator) -> Floats:
    """n calls bin / n s apart from the start of their bin; no chance in it."""
    start_s, place, shared = _place(counts, bin_s)
    return start_s + place * (bin_s / shared)


def uniform(counts: Ints, bin_s: float, rng: np.random.Generator) -> Floats:
    """Each call anywhere in its bin with equal chance."""
    start_s, _, shared = _place(counts, bin_s)
    return np.sort(start_s + rng.uniform(0.0, bin_s, len(shared)))


def poisson(counts: Ints, bin_s: float, rng: np.random.Generator) -> Floats:
    """A Poisson process whose rate in each bin is the bin's count: the numbers vary too."""
    return uniform(rng.poisson(counts), bin_s, rng)


SPREADERS: dict[str, Spreader] = {"instainfer": instainfer, "even": even, "uniform": uniform, "poisson": poisson}


def scale_counts(counts: Ints, rate_scale: float, rng: np.random.Generator) -> Ints:
    """Each invocation floor(scale) times, and once more with probability of the remainder: busy minutes stay where
    they are, so below 1 this is thinning."""
    whole = int(rate_scale)
    return counts * whole + rng.binomial(counts, rate_scale - whole)
