"""How sure one can be: intervals over seeds, paired comparisons, and intervals from one long run.

Seeds are paired: all systems see the same traffic and the same luck, so what differs is compared seed by seed.
Intervals are percentile bootstrap intervals over seeds (Efron and Tibshirani 1993, section 13.3). They are a little
too narrow for few seeds: for normal data the 95 % interval of a mean holds the truth in about 90 % of cases
with 10 seeds. With so few that chance alone would often give all differences one sign, nothing is called real.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from simlora.errors import ConfigError
from simlora.results.tables import Floats, Ints

RESAMPLES = 10_000
"""Assumption: bootstrap resamples; over streams the ends of an interval then vary by less than 1 % of its width."""
SEED = 0
"""Of the resampling, so that a table says the same each time it is made."""


class Interval(NamedTuple):
    """An estimate from ``n`` seeds and its interval; ``low`` and ``high`` are NaN where there are fewer than two."""

    estimate: float
    low: float
    high: float
    n: int
    confidence: float

    def excludes(self, value: float) -> bool:
        """Whether a difference from ``value`` is real: the interval leaves it out, and there are seeds enough.

        Enough: all ``n`` differences having one sign by chance, 2 x 0.5^n, is rarer than 1 - confidence.
        """
        enough = 2.0 * 0.5**self.n <= 1.0 - self.confidence
        return enough and (value < self.low or value > self.high)


def mean_interval(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """The mean over seeds with its interval."""
    return _bootstrap((np.asarray(values, float),), _mean, confidence)


def median_interval(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """The median over seeds with its interval: what the seed in the middle shows, whatever a single one does."""
    return _bootstrap((np.asarray(values, float),), lambda samples: np.median(samples[0], axis=-1), confidence)


def paired_difference(a: ArrayLike, b: ArrayLike, confidence: float = 0.95) -> Interval:
    """Mean over seeds of ``a - b``, element i of both being the same seed; real only if it excludes 0.

    Raises :class:`ConfigError` if the two are not of one length.
    """
    left, right = _paired(a, b)
    return _bootstrap((left - right,), _mean, confidence)


def paired_ratio(a: ArrayLike, b: ArrayLike, confidence: float = 0.95) -> Interval:
    """Mean of ``a`` / mean of ``b`` over the same seeds, resampled seed by seed; real only if it excludes 1.

    Raises :class:`ConfigError` if the two are not of one length.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return _bootstrap(_paired(a, b), lambda samples: _mean(samples[:1]) / _mean(samples[1:]), confidence)


def gap_closed(own: ArrayLike, worst: ArrayLike, bound: ArrayLike, confidence: float = 0.95) -> Interval:
    """Which share of the way from ``worst`` to ``bound`` is behind ``own``: of means over the same seeds.

    (mean worst - mean own) / (mean worst - mean bound): 0 at the worst, 1 at the bound; for metrics that are best when
    small. Raises :class:`ConfigError` if the three are not of one length.
    """
    _paired(own, worst)
    with np.errstate(divide="ignore", invalid="ignore"):
        return _bootstrap(
            (*_paired(own, bound), np.asarray(worst, float)),
            lambda x: (_mean(x[2:]) - _mean(x[:1])) / (_mean(x[2:]) - _mean(x[1:2])),
            confidence,
        )


def replications_needed(values: ArrayLike, relative_precision: float, confidence: float = 0.95) -> int:
    """Seeds after which the mean's interval is within +- ``relative_precision`` of it, judged by the seeds there are.

    The least n with t(n - 1) x standard deviation / sqrt(n) <= relative_precision x |mean|.
    Raises :class:`ConfigError` for fewer than two values or a mean of 0, which no number of seeds makes precise.
    """
    from scipy.stats import t

    x = np.asarray(values, float)
    if len(x) < 2 or not math.isfinite(x.mean()) or x.mean() == 0:
        raise ConfigError(f"replications needed: at least two seeds and a mean that is not 0 (found {x.tolist()})")
    wanted, spread = relative_precision * abs(float(x.mean())), float(x.std(ddof=1))
    n = max(2, math.ceil((t.ppf(0.5 + confidence / 2, 10**9) * spread / wanted) ** 2))
    while t.ppf(0.5 + confidence / 2, n - 1) * spread / math.sqrt(n) > wanted:
        n += 1
    return n


def batch_means(x: ArrayLike, batches: int = 30, confidence: float = 0.99) -> tuple[float, float]:
    """Mean of one long stationary run and the half-width of its interval, by the method of batch means.

    ``x``: observations in the order they were made, correlated as they may be; they are cut into ``batches``
    equal stretches, the first few left out if their number does not divide. Law and Kelton 2000, section 9.5.3.
    Raises :class:`ConfigError` if there are fewer than two batches or an empty one.
    """
    from scipy.stats import t

    values = np.asarray(x, float)
    length = len(values) // batches if batches >= 2 else 0
    if length == 0:
        raise ConfigError(f"batch means: at least 2 batches of one observation (found {len(values)} in {batches})")
    means = values[len(values) - length * batches :].reshape(batches, length).mean(axis=1)
    half_width = t.ppf(0.5 + confidence / 2, batches - 1) * means.std(ddof=1) / math.sqrt(batches)
    return float(means.mean()), float(half_width)


def _paired(a: ArrayLike, b: ArrayLike) -> tuple[Floats, Floats]:
    left, right = np.asarray(a, float), np.asarray(b, float)
    if left.shape != right.shape:
        raise ConfigError(f"paired comparison: the same seeds on both sides (found {left.size} and {right.size})")
    return left, right


def _mean(samples: Sequence[Floats]) -> Floats:
    return np.asarray(samples[0].mean(axis=-1))


def _bootstrap(
    values: tuple[Floats, ...], statistic: Callable[[Sequence[Floats]], Floats], confidence: float
) -> Interval:
    """``statistic`` of the values, and of resamples of their seeds; a NaN anywhere leaves nothing to say."""
    n = len(values[0])
    if n == 0 or any(np.isnan(one).any() for one in values):
        return Interval(math.nan, math.nan, math.nan, n, confidence)
    estimate = float(statistic(values))
    if n == 1:
        return Interval(estimate, math.nan, math.nan, n, confidence)
    picks: Ints = np.random.default_rng(SEED).integers(n, size=(RESAMPLES, n))
    resampled = statistic([one[picks] for one in values])
    low, high = np.quantile(resampled, [0.5 - confidence / 2, 0.5 + confidence / 2])
    return Interval(estimate, float(low), float(high), n, confidence)
