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


def held_out(basis: Array, seconds: Array, held: NDArray[np.bool_]) -> Error:
    """Error on the points of ``held`` of a fit on the others."""
    return error(basis[held] @ fit(basis[~held], seconds[~held]), seconds[held])


def ramps(x: Array, knots: Array) -> Array:
    """Basis of non-decreasing piecewise linear functions: a constant, then one ramp between each pair of knots."""
    return np.stack([np.ones_like(x), *(np.clip(x, low, high) - low for low, high in pairwise(knots))], axis=1)


def values_at_knots(coefficients: Array, knots: Array) -> list[float]:
    """Values at the knots of the function with these coefficients in :func:`ramps`."""
    return [float(v) for v in coefficients[0] + np.concatenate([[0.0], np.cumsum(coefficients[1:] * np.diff(knots))])]
