"""Clusters of numbers: k-means in one dimension, started from quantiles, so that equal numbers give equal clusters."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise


def cut_offs(numbers: Sequence[float], most: int, explained: float, rounds: int) -> list[float]:
    """What parts ``numbers`` into clusters: the midpoints between their means.

    As few clusters as explain the share ``explained`` of the variance, that is, as leave at most the rest of it within
    clusters, but no more than ``most``, each time in ``rounds`` rounds at most. Empty if all numbers are one cluster.
    """
    ordered = sorted(numbers)
    total = _within(ordered, [])
    cuts: list[float] = []
    for clusters in range(2, most + 1):
        if _within(ordered, cuts) <= (1 - explained) * total:
            break
        cuts = _lloyd(ordered, clusters, rounds)
    return cuts


def _lloyd(ordered: Sequence[float], clusters: int, rounds: int) -> list[float]:
    """Cuts of as many clusters, or of fewer if numbers coincide."""
    quantiles = [ordered[(2 * i + 1) * len(ordered) // (2 * clusters)] for i in range(clusters)]
    means = sorted(dict.fromkeys(quantiles))
    cuts: list[float] = []
    for _ in range(rounds):
        moved = [(low + high) / 2 for low, high in pairwise(means)]
        if moved == cuts:
            break
        cuts = moved
        means = [sum(part) / len(part) for part in _parts(ordered, cuts) if part]
    return cuts


def _parts(ordered: Sequence[float], cuts: Sequence[float]) -> list[Sequence[float]]:
    ends = [0, *(bisect_right(ordered, cut) for cut in cuts), len(ordered)]
    return [ordered[low:high] for low, high in pairwise(ends)]


def _within(ordered: Sequence[float], cuts: Sequence[float]) -> float:
    """Sum of the squared distances to the mean of one's cluster."""
    total = 0.0
    for part in _parts(ordered, cuts):
        if part:
            mean = sum(part) / len(part)
            total += sum((number - mean) ** 2 for number in part)
    return total
