"""Intervals hold what they say, and a difference is called real only when it is."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlora.errors import ConfigError
from simlora.results.statistics import (
    batch_means,
    gap_closed,
    mean_interval,
    paired_difference,
    paired_ratio,
    replications_needed,
)

seeds = st.lists(st.floats(0.1, 100), min_size=2, max_size=12)


@given(seeds)
def test_an_interval_holds_its_mean_and_lies_within_the_seeds(values: list[float]) -> None:
    found = mean_interval(values)
    slack = 1e-9
    assert min(values) - slack <= found.low <= found.estimate + slack
    assert found.estimate - slack <= found.high <= max(values) + slack


@given(seeds, st.floats(0.1, 10))
def test_a_system_differs_from_itself_by_nothing_and_scaled_by_the_factor(values: list[float], factor: float) -> None:
    same = paired_difference(values, values)
    assert (same.low, same.estimate, same.high) == (0.0, 0.0, 0.0)
    assert not same.excludes(0.0)
    scaled = paired_ratio(np.array(values) * factor, values)
    assert [scaled.low, scaled.estimate, scaled.high] == pytest.approx([factor] * 3)


def test_pairing_finds_what_the_spread_over_seeds_would_hide() -> None:
    traffic = np.random.default_rng(0).normal(10.0, 5.0, 10)
    slower = traffic + np.linspace(0.1, 0.3, 10)
    assert paired_difference(slower, traffic).excludes(0.0)
    assert mean_interval(slower).low < traffic.mean() < mean_interval(slower).high


@pytest.mark.parametrize(("n", "real"), [(2, False), (5, False), (6, True)])
def test_too_few_seeds_prove_nothing(n: int, real: bool) -> None:
    assert paired_difference(np.arange(n) + 1.0, np.zeros(n)).excludes(0.0) is real


def test_the_same_seeds_give_the_same_interval() -> None:
    assert mean_interval([1.0, 2.0, 5.0]) == mean_interval([1.0, 2.0, 5.0])


def test_the_interval_of_a_mean_by_hand() -> None:
    # Of 4 resampled means of {0, 1}, none is above 1 or below 0; (1/4, 1/2, 1/4) of them are 0, 1/2, 1.
    assert mean_interval([0.0, 1.0], confidence=0.4)[:3] == (0.5, 0.5, 0.5)
    assert mean_interval([0.0, 1.0], confidence=0.6)[:3] == (0.5, 0.0, 1.0)


def test_one_seed_has_no_interval_and_a_gap_leaves_nothing_to_say() -> None:
    one = mean_interval([3.0])
    assert one.estimate == 3.0
    assert math.isnan(one.low)
    assert not one.excludes(0.0)
    assert math.isnan(mean_interval([1.0, math.nan]).estimate)
    assert math.isnan(mean_interval([]).estimate)


def test_other_seeds_can_not_be_paired() -> None:
    with pytest.raises(ConfigError, match=r"the same seeds on both sides .found 2 and 1"):
        paired_ratio([1.0, 2.0], [1.0])


def test_replications_needed_is_the_least_number_that_reaches_the_precision() -> None:
    from scipy.stats import t

    x = np.array([9.0, 10.0, 11.0, 10.0])
    n = replications_needed(x, relative_precision=0.02)
    half = [t.ppf(0.975, m - 1) * x.std(ddof=1) / math.sqrt(m) for m in (n, n - 1)]
    assert half[0] <= 0.2 < half[1]
    assert replications_needed([5.0, 5.0], 0.01) == 2
    with pytest.raises(ConfigError, match="at least two seeds"):
        replications_needed([1.0], 0.1)


def test_the_share_of_a_gap_by_hand() -> None:
    closed = gap_closed([4.0, 6.0], worst=[10.0, 12.0], bound=[1.0, 1.0])
    assert closed.estimate == pytest.approx(6 / 10)
    assert closed.low == pytest.approx(6 / 11)  # of the second seed alone
    assert closed.high == pytest.approx(6 / 9)
    assert gap_closed([3.0], [3.0], [1.0]).estimate == 0.0
    assert gap_closed([1.0], [3.0], [1.0]).estimate == 1.0
    with pytest.raises(ConfigError, match="the same seeds"):
        gap_closed([1.0], [3.0, 3.0], [1.0])


def test_batch_means_by_hand() -> None:
    mean, half_width = batch_means([99.0, 1.0, 3.0, 2.0, 6.0, 9.0, 9.0], batches=3, confidence=0.99)
    assert mean == pytest.approx(5.0)  # of 2, 4 and 9; the first observation does not fill a batch
    assert half_width == pytest.approx(9.924843 * math.sqrt(13 / 3))
    for values, batches in (([1.0, 2.0], 3), ([1.0, 2.0], 1)):
        with pytest.raises(ConfigError, match="at least 2 batches"):
            batch_means(values, batches)


def test_batch_means_hold_the_truth_of_a_correlated_run_as_often_as_they_say() -> None:
    rng = np.random.default_rng(7)
    noise = rng.normal(size=(300, 30_000))
    held = 0
    for one in noise:
        walk = np.convolve(one, 0.8 ** np.arange(40))[: len(one)]
        mean, half_width = batch_means(walk[100:], batches=30, confidence=0.95)
        held += abs(mean) <= half_width
    assert 0.92 <= held / 300 <= 0.98
