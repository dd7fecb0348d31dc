"""A distribution of whole numbers in a few weighted points, and random ranks that remember."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from simlora.workload.workload import Floats, Ints

POINTS = 8
"""Points kept of a distribution (assumption; with four, replicas hold up to 5 % fewer of their segments' figures)."""


class Points(NamedTuple):
    """Values (means of the merged ones, so not always whole) and how often each was seen; ascending."""

    values: Floats
    weights: Floats

    @classmethod
    def fit(cls, samples: ArrayLike, keep: int = POINTS) -> Points:
        """Merge neighbours, those first whose logarithms differ least for their weight (Ward), until ``keep`` remain.

        The mean is exactly that of the samples (all at least 1); up to ``keep`` distinct values are kept as they are.
        """
        found, times = np.unique(np.asarray(samples, dtype=np.float64), return_counts=True)
        values, weights = list(found), list(times.astype(np.float64))
        while len(values) > keep:
            w, v = np.array(weights), np.log(values)
            left = int(np.argmin(w[:-1] * w[1:] / (w[:-1] + w[1:]) * np.diff(v) ** 2))
            both = weights[left] + weights[left + 1]
            values[left] = (values[left] * weights[left] + values.pop(left + 1) * weights[left + 1]) / both
            weights[left] = both
            del weights[left + 1]
        return cls(np.array(values), np.array(weights))

    @classmethod
    def parse(cls, text: str) -> Points:
        """From ``value*times,value*times``; raises ``ValueError``."""
        pairs = [part.split("*") for part in text.split(",")]
        return cls(np.array([float(value) for value, _ in pairs]), np.array([float(times) for _, times in pairs]))

    def __str__(self) -> str:
        return ",".join(f"{value:.5g}*{times:.0f}" for value, times in zip(self.values, self.weights, strict=True))

    def draw(self, ranks: Floats, rng: np.random.Generator) -> Ints:
        """The value at each rank in [0, 1); a value between two whole numbers becomes either, its mean kept."""
        below = np.cumsum(self.weights)
        place = np.searchsorted(below, ranks * below[-1], side="right")
        exact = self.values[np.minimum(place, len(below) - 1)]
        whole = np.floor(exact)
        return np.asarray(whole + (rng.random(len(ranks)) < exact - whole), dtype=np.int64)

    def length_biased(self) -> Points:
        """The distribution of the gap that a random instant falls into."""
        return Points(self.values, self.values * self.weights)


def remembering_ranks(rng: np.random.Generator, count: int, memory: float) -> Floats:
    """Ranks uniform in [0, 1) whose lag-1 rank correlation is ``memory``.

    Each repeats the one before with probability \\|memory\\|, mirrored (1 - rank) if memory is negative.
    """
    fresh = rng.random(count) >= abs(memory)
    fresh[:1] = True
    order = np.arange(count)
    since = np.maximum.accumulate(np.where(fresh, order, 0))
    ranks = rng.random(count)[since]
    if memory < 0:
        ranks = np.where((order - since) % 2 == 1, 1.0 - ranks, ranks)
    return np.minimum(ranks, np.nextafter(1.0, 0.0))


def rank_correlation(first: ArrayLike, second: ArrayLike) -> float:
    """Spearman's, ties at their mean rank; 0 for fewer than four pairs or a constant."""
    a, b = _mean_ranks(np.asarray(first)), _mean_ranks(np.asarray(second))
    if len(a) < 4 or a.std() == 0.0 or b.std() == 0.0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def _mean_ranks(samples: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> Floats:
    _, place, times = np.unique(samples, return_inverse=True, return_counts=True)
    last = np.cumsum(times)
    return np.asarray((last - (times - 1) / 2.0)[place], dtype=np.float64)
