"""Generators have the rate and the variability they are asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlora.workload.synthetic import Gaps, gamma_arrivals, on_off_arrivals, poisson_arrivals, renewal_arrivals


@given(st.integers(0, 2**32), st.floats(0.1, 10), st.floats(0.1, 8), st.floats(1, 100))
def test_times_ascend_inside_the_window(seed: int, rate: float, cv: float, duration_s: float) -> None:
    rng = np.random.default_rng(seed)
    for times in (
        poisson_arrivals(rng, duration_s, rate),
        gamma_arrivals(rng, duration_s, rate, cv),
        on_off_arrivals(rng, duration_s, rate, 0.0, 3.0, 5.0),
    ):
        assert (np.diff(times) >= 0).all()
        assert ((times >= 0) & (times < duration_s)).all()


def test_poisson_rate() -> None:
    assert len(poisson_arrivals(np.random.default_rng(1), 20_000, 5.0)) == pytest.approx(100_000, rel=0.01)


@pytest.mark.parametrize("cv", [0.25, 1.0, 4.0])
def test_gamma_rate_and_cv(cv: float) -> None:
    times = gamma_arrivals(np.random.default_rng(2), 100_000, 2.0, cv)
    gaps = np.diff(times)
    assert 1 / gaps.mean() == pytest.approx(2.0, rel=0.04)
    assert gaps.std() / gaps.mean() == pytest.approx(cv, rel=0.04)


@pytest.mark.parametrize("shape", [0.5, 1.0, 3.0])
def test_weibull_rate_and_cv(shape: float) -> None:
    gaps = Gaps.of_rate("weibull", shape, 2.0)
    found = np.diff(renewal_arrivals(np.random.default_rng(2), 100_000, 2.0, gaps))
    assert 1 / found.mean() == pytest.approx(2.0, rel=0.04)
    assert found.std() / found.mean() == pytest.approx(gaps.cv, rel=0.04)
    assert Gaps.of_rate("weibull", 0.5, 1.0).cv == pytest.approx(5**0.5)


def test_weibull_is_stationary() -> None:
    gaps = Gaps.of_rate("weibull", 0.5, 0.5)
    numbers = [len(renewal_arrivals(np.random.default_rng(seed), 10.0, 0.5, gaps)) for seed in range(4000)]
    assert np.mean(numbers) == pytest.approx(5.0, rel=0.08)


def test_gamma_is_stationary() -> None:
    """The expected number in a short window is rate x duration; a renewal at time 0 would give far more here."""
    numbers = [len(gamma_arrivals(np.random.default_rng(seed), 10.0, 0.5, 4.0)) for seed in range(4000)]
    assert np.mean(numbers) == pytest.approx(5.0, rel=0.12)


def test_on_off_rate_and_silence() -> None:
    times = on_off_arrivals(np.random.default_rng(3), 500_000, 4.0, 0.0, 20.0, 60.0)
    assert len(times) / 500_000 == pytest.approx(1.0, rel=0.05)
    silences = np.diff(times)[np.diff(times) > 10.0]
    assert silences.mean() == pytest.approx(10 + 60, rel=0.1)


def test_on_off_starts_in_equilibrium() -> None:
    numbers = [len(on_off_arrivals(np.random.default_rng(seed), 1.0, 5.0, 0.0, 20.0, 60.0)) for seed in range(3000)]
    assert np.mean(numbers) == pytest.approx(5.0 / 4, rel=0.1)


def test_off_state_has_its_own_rate() -> None:
    times = on_off_arrivals(np.random.default_rng(3), 200_000, 1.0, 1.0, 20.0, 60.0)
    assert len(times) / 200_000 == pytest.approx(1.0, rel=0.02)
