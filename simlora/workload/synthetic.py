"""Arrivals made by a formula, per function: Poisson, renewal with gamma gaps, on/off (interrupted Poisson), and renewal
at a rate that varies."""

from __future__ import annotations

import math

import numpy as np

from simlora.workload.workload import Floats


def poisson_arrivals(rng: np.random.Generator, duration_s: float, rate_per_s: float) -> Floats:
    """A Poisson process on [0, duration)."""
    return np.sort(rng.uniform(0.0, duration_s, rng.poisson(rate_per_s * duration_s)))


def gamma_arrivals(rng: np.random.Generator, duration_s: float, rate_per_s: float, cv: float) -> Floats:
    """A stationary renewal process whose gaps are gamma distributed with mean 1 / rate and coefficient of variation cv.

    Stationary: the first gap is what remains of a length-biased one, so the mean rate holds from time 0.
    """
    shape = 1.0 / cv**2
    scale_s = 1.0 / (rate_per_s * shape)
    parts = [np.array([rng.uniform() * rng.gamma(shape + 1.0, scale_s)])]
    at_s = float(parts[0][0])
    expected = duration_s * rate_per_s
    block = int(expected + 4.0 * (1.0 + cv) * math.sqrt(expected)) + 16
    while at_s < duration_s:
        parts.append(at_s + np.cumsum(rng.gamma(shape, scale_s, block)))
        at_s = float(parts[-1][-1])
    arrived_s = np.concatenate(parts)
    return arrived_s[: int(np.searchsorted(arrived_s, duration_s))]


def on_off_arrivals(
    rng: np.random.Generator,
    duration_s: float,
    on_rate_per_s: float,
    off_rate_per_s: float,
    on_mean_s: float,
    off_mean_s: float,
) -> Floats:
    """Poisson arrivals whose rate switches between two values after exponential dwell times; starts in equilibrium."""
    on = rng.uniform() < on_mean_s / (on_mean_s + off_mean_s)
    from_s, edges_s, rates_per_s = 0.0, [0.0], []
    while from_s < duration_s:
        from_s = min(duration_s, from_s + rng.exponential(on_mean_s if on else off_mean_s))
        edges_s.append(from_s)
        rates_per_s.append(on_rate_per_s if on else off_rate_per_s)
        on = not on
    edges = np.array(edges_s)
    arrivals = rng.poisson(np.array(rates_per_s) * np.diff(edges))
    return np.sort(rng.uniform(np.repeat(edges[:-1], arrivals), np.repeat(edges[1:], arrivals)))


def varying_arrivals(rng: np.random.Generator, edges_s: Floats, rates_per_s: Floats, cv: float) -> Floats:
    """A stationary renewal process of rate 1 with gamma gaps, in time stretched so that the rate between two edges is
    the one given there; Poisson for cv 1.
    """
    expected = np.concatenate([[0.0], np.cumsum(rates_per_s * np.diff(edges_s))])
    return np.interp(gamma_arrivals(rng, float(expected[-1]), 1.0, cv), expected, edges_s)
