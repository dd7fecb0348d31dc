"""Spreaders keep counts and bins; the authors' rule by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlora.workload.spreading import SPREADERS, even, instainfer, poisson, scale_counts

some_counts = st.lists(st.integers(0, 90), min_size=1, max_size=30).map(lambda counts: np.array(counts, dtype=np.int64))


@given(some_counts, st.sampled_from(["even", "uniform"]), st.sampled_from([60.0, 3600.0]))
def test_every_request_stays_in_its_bin(counts: np.ndarray, name: str, bin_s: float) -> None:
    times = SPREADERS[name](counts, bin_s, np.random.default_rng(1))
    assert (np.diff(times) >= 0).all()
    assert np.bincount((times // bin_s).astype(int), minlength=len(counts)).tolist() == counts.tolist()


@given(some_counts)
def test_authors_rule(counts: np.ndarray) -> None:
    times = instainfer(counts, 60.0, np.random.default_rng(1))
    earliest = np.sort(
        [60.0 * minute + place * (60 // count) for minute, count in enumerate(counts) for place in range(count)]
    )
    assert len(times) == counts.sum()
    assert (np.diff(times) >= 0).all()
    assert (times >= earliest + 1.0).all()
    assert (times <= earliest + 3.0).all()


def test_authors_rule_puts_more_than_sixty_in_the_first_seconds() -> None:
    times = instainfer(np.array([0, 61]), 60.0, np.random.default_rng(1))
    assert times.min() >= 61.0
    assert times.max() <= 63.0


def test_even_by_hand() -> None:
    assert even(np.array([2, 0, 3]), 60.0, np.random.default_rng(1)).tolist() == [0, 30, 120, 140, 160]


def test_poisson_varies_the_count_about_its_mean() -> None:
    counts = np.full(4000, 5)
    times = poisson(counts, 60.0, np.random.default_rng(1))
    each = np.bincount((times // 60).astype(int), minlength=4000)
    assert each.mean() == pytest.approx(5, abs=0.12)
    assert each.var() == pytest.approx(5, abs=0.5)


def test_whole_scales_repeat_and_fractions_thin() -> None:
    counts = np.array([0, 1, 10, 0, 1000])
    rng = np.random.default_rng(1)
    assert scale_counts(counts, 3.0, rng).tolist() == [0, 3, 30, 0, 3000]
    thinned = scale_counts(np.full(2000, 10), 0.25, rng)
    assert thinned.mean() == pytest.approx(2.5, abs=0.1)
    assert thinned.max() <= 10
    assert scale_counts(np.full(2000, 10), 2.25, rng).min() >= 20
