"""Piecewise linear functions, as fitted."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise


class Curve:
    """A piecewise linear function of an integer, which remembers what it was asked."""

    __slots__ = ("knots", "known", "slopes", "values")

    def __init__(self, knots: Sequence[float], values: Sequence[float], factor: float = 1.0):
        self.knots = list(knots)
        self.values = [value * factor for value in values]
        points = list(zip(self.knots, self.values, strict=True))
        self.slopes = [(v1 - v0) / (k1 - k0) for (k0, v0), (k1, v1) in pairwise(points)]

        self.known: dict[int, float] = {}

    def __call__(self, x: int) -> float:
        value = self.known.get(x)
        if value is None:
            value = self.known[x] = self.at(x)
        return value

    def at(self, x: float) -> float:
        i = min(max(bisect_right(self.knots, x) - 1, 0), len(self.slopes) - 1)
        return self.values[i] + self.slopes[i] * (x - self.knots[i])

    def plus(self, other: Curve) -> Curve:
        """The sum of both."""
        knots = sorted({*self.knots, *other.knots})
        return Curve(knots, [self.at(knot) + other.at(knot) for knot in knots])
