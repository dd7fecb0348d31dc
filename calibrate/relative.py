"""Least squares on relative error with coefficients that cannot be negative, which makes the fits monotone."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

Array = NDArray[np.float64]


class Error(NamedTuple):
    """Relative errors of a prediction: median and 90th percentile of their size, their mean, how many."""

    median: float
    p90: float
    bias: float
    points: int

    def __str__(self) -> str:
        return f"median {self.median:.1%}, p90 {self.p90:.1%}, bias {self.bias:+.1%}, {self.points} points"


def fit(basis: Array, seconds: Array) -> Array:
    """Coefficients >= 0 that minimise the sum of (basis @ c / seconds - 1)^2."""
    scale = np.abs(basis).max(axis=0)
    scale[scale == 0] = 1.0
    coefficients, _ = nnls(basis / scale / seconds[:, None], np.ones_like(seconds), maxiter=1000 * basis.shape[1])
    return np.asarray(coefficients / scale, dtype=np.float64)


def error(predicted: Array, seconds: Array) -> Error:
    """How far a prediction is from what was measured."""
    relative = predicted / seconds - 1
    size = np.abs(relative)
    return Error(float(np.median(size)), float(np.quantile(size, 0.9)), float(relative.mean()), len(seconds))


class Held(NamedTuple):
    """Points held out of a fit: predicted, measured, how large each is, the operations and bytes that it takes.

    ``size`` is in tokens (rows of a product, tokens of a prompt, sum of contexts), of messages and of elementwise
    kernels in bytes. Without ``operations`` no roofline can be drawn.
    """

    predicted: Array
    seconds: Array
    size: Array
    operations: Array | None = None
    moved_bytes: Array | None = None

    @property
    def error(self) -> Error:
        """How far off all of them are."""
        return error(self.predicted, self.seconds)


class Points(NamedTuple):
    """All points of a fit: its basis, what was measured, and of each what :class:`Held` says of it."""

    basis: Array
    seconds: Array
    size: Array
    operations: Array | None = None
    moved_bytes: Array | None = None

    def held_out(self, held: NDArray[np.bool_]) -> Held:
        """The points of ``held``, predicted by a fit on the others."""
        predicted = self.basis[held] @ fit(self.basis[~held], self.seconds[~held])
        sized = (None if column is None else column[held] for column in (self.operations, self.moved_bytes))
        return Held(predicted, self.seconds[held], self.size[held], *sized)


def by_size(held: Held) -> list[dict[str, float]]:
    """Relative errors by size in classes a factor of four apart: 10th percentile, median, 90th."""
    relative, rows = held.predicted / held.seconds - 1, list[dict[str, float]]()
    power = np.ceil(np.log2(np.maximum(held.size, 1)) / 2).astype(int)
    for each in np.unique(power):
        low, middle, high = np.quantile(relative[power == each], (0.1, 0.5, 0.9))
        count = int((power == each).sum())
        rows.append({"upto": 4 ** int(each), "points": count} | _rounded(p10=low, p50=middle, p90=high))
    return rows


def _rounded(**figures: float) -> dict[str, float]:
    return {name: round(float(figure), 3) for name, figure in figures.items()}


def ramps(x: Array, knots: Array) -> Array:
    """Basis of non-decreasing piecewise linear functions: a constant, then one ramp between each pair of knots."""
    return np.stack([np.ones_like(x), *(np.clip(x, low, high) - low for low, high in pairwise(knots))], axis=1)


def values_at_knots(coefficients: Array, knots: Array) -> list[float]:
    """Values at the knots of the function with these coefficients in :func:`ramps`."""
    return [float(v) for v in coefficients[0] + np.concatenate([[0.0], np.cumsum(coefficients[1:] * np.diff(knots))])]
