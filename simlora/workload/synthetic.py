"""Arrivals made by a formula, per function: Poisson, renewal with gamma gaps, on/off (interrupted Poisson), and renewal
at a rate that varies."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np

from simlora.workload.bounds import check_requests
from simlora.workload.workload import Floats


def poisson_arrivals(rng: np.random.Generator, duration_s: float, rate_per_s: float) -> Floats:
    """A Poisson process on [0, duration)."""
    check_requests(rate_per_s * duration_s)
    return np.sort(rng.uniform(0.0, duration_s, rng.poisson(rate_per_s * duration_s)))


class Gaps(NamedTuple):
    """Gaps of a renewal process: independent draws of a gamma or Weibull distribution."""

    kind: Literal["gamma", "weibull"]
    shape: float
    scale_s: float

    @classmethod
    def of_rate(cls, kind: Literal["gamma", "weibull"], shape: float, rate_per_s: float) -> Gaps:
        """Those of this shape whose mean is 1 / rate."""
        mean = shape if kind == "gamma" else math.gamma(1.0 + 1.0 / shape)
        return cls(kind, shape, 1.0 / (rate_per_s * mean))

    @property
    def cv(self) -> float:
        """Standard deviation / mean."""
        if self.kind == "gamma":
            return 1.0 / math.sqrt(self.shape)
        first, second = (math.lgamma(1.0 + power / self.shape) for power in (1.0, 2.0))
        return math.sqrt(math.expm1(second - 2.0 * first))

    def draw(self, rng: np.random.Generator, count: int) -> Floats:
        """So many gaps (s)."""
        if self.kind == "gamma":
            return rng.gamma(self.shape, self.scale_s, count)
        return self.scale_s * rng.weibull(self.shape, count)

    def around_an_instant(self, rng: np.random.Generator) -> float:
        """The gap (s) that a fixed instant falls into: long ones are met more often."""
        if self.kind == "gamma":
            return float(rng.gamma(self.shape + 1.0, self.scale_s))
        return float(self.scale_s * rng.gamma(1.0 + 1.0 / self.shape) ** (1.0 / self.shape))


def renewal_arrivals(rng: np.random.Generator, duration_s: float, rate_per_s: float, gaps: Gaps) -> Floats:
    """A stationary renewal process on [0, duration) with these gaps, whose mean is 1 / rate.

    Stationary: the first gap is what remains of a length-biased one, so the mean rate holds from time 0.
    """
    check_requests(rate_per_s * duration_s)
    parts = [np.array([rng.uniform() * gaps.around_an_instant(rng)])]
    at_s = float(parts[0][0])
    expected = duration_s * rate_per_s
    block = int(expected + 4.0 * (1.0 + gaps.cv) * math.sqrt(expected)) + 16
    while at_s < duration_s:
        parts.append(at_s + np.cumsum(gaps.draw(rng, block)))
        at_s = float(parts[-1][-1])
    arrived_s = np.concatenate(parts)
    return arrived_s[: int(np.searchsorted(arrived_s, duration_s))]


def gamma_arrivals(rng: np.random.Generator, duration_s: float, rate_per_s: float, cv: float) -> Floats:
    """A stationary renewal process with gamma gaps of mean 1 / rate and coefficient of variation cv."""
    return renewal_arrivals(rng, duration_s, rate_per_s, Gaps.of_rate("gamma", 1.0 / cv**2, rate_per_s))


def on_off_arrivals(
    rng: np.random.Generator,
    duration_s: float,
    on_rate_per_s: float,
    off_rate_per_s: float,
    on_mean_s: float,
    off_mean_s: float,
) -> Floats:
    """Poisson arrivals whose rate switches between two values after exponential dwell times; starts in equilibrium."""
    check_requests(max(on_rate_per_s, off_rate_per_s) * duration_s)
    check_requests(2.0 * duration_s / (on_mean_s + off_mean_s))
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
