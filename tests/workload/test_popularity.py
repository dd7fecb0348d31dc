"""Popular functions get the share their rank says, at the time that the course or the drift says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlora.errors import ConfigError, TraceError
from simlora.workload import Workload
from simlora.workload.sources.popularity import gentd26_shares, zipf_shares
from simlora.workload.synthetic import varying_arrivals

Build = Callable[..., Workload]
MANY = [f"f{row}" for row in range(50)]
ZIPF = {"name": "zipf", "rate_per_s": 2.0, "exponent": 1.0}
DRIFT = {"name": "drift", "rate_per_s": 5.0, "exponent": 1.0, "every_s": 1440, "churn": 0.2}


def counts(found: Workload, rows: int = 50) -> np.ndarray[Any, Any]:
    return np.bincount(found.function, minlength=rows)


def by_epoch(found: Workload, every_s: float) -> np.ndarray[Any, Any]:
    """Requests of each function (rows) in each epoch (columns)."""
    return np.stack([counts(one) for one in parts(found, every_s)], axis=1)


def parts(found: Workload, every_s: float) -> list[Any]:
    epochs = (found.arrived_s // every_s).astype(int)
    return [type("Part", (), {"function": found.function[epochs == e]}) for e in range(epochs.max() + 1)]


@given(st.integers(1, 300), st.floats(0, 3))
def test_shares_sum_to_one_and_fall_as_the_power_says(ranks: int, exponent: float) -> None:
    shares = zipf_shares(ranks, exponent)
    assert shares.sum() == pytest.approx(1.0)
    assert shares[0] / shares[-1] == pytest.approx(ranks**exponent)


def test_gentd26_has_the_published_shares() -> None:
    shares = gentd26_shares()
    assert len(shares) == 874
    assert (np.diff(shares) <= 0).all()
    upto = np.cumsum(shares)
    assert upto[[0, 4, 9, 49, 99, 873]] == pytest.approx(np.array([0.08, 0.20, 0.28, 0.56, 0.69, 1.0]), abs=0.02)
    ranks = np.log(np.arange(1, 301))
    assert np.polyfit(ranks, np.log(shares[:300]), 1)[0] == pytest.approx(-0.97, abs=0.1)


def test_gentd26_over_the_functions_there(build: Build) -> None:
    found = build({"name": "model/gentd26", "rate_per_s": 20.0}, functions=MANY)
    assert counts(found)[0] / len(found) == pytest.approx(0.08 / 0.56, rel=0.05)
    with pytest.raises(TraceError, match="found 875 functions; allowed: up to 874"):
        build({"name": "model/gentd26", "rate_per_s": 20.0}, functions=[str(row) for row in range(875)])


@pytest.mark.parametrize("cv", [0.5, 1.0, 3.0])
def test_zipf_has_the_total_and_the_shares(build: Build, cv: float) -> None:
    found = build({**ZIPF, "cv": cv}, functions=MANY, duration_s=100_000.0)
    assert len(found) / 100_000 == pytest.approx(2.0, rel=0.05)
    assert counts(found)[:5] / len(found) == pytest.approx(zipf_shares(50, 1.0)[:5], rel=0.1)


def test_zipf_over_a_given_number_is_no_poorer_for_a_further_function(build: Build) -> None:
    of_table = [counts(build(ZIPF, functions=MANY[:n]), n)[0] for n in (2, 50)]
    assert of_table[0] > 2 * of_table[1]
    over = [counts(build({**ZIPF, "over": 50}, functions=MANY[:n]), n)[0] for n in (2, 50)]
    assert over[0] == over[1]


def test_exponent_0_is_the_same_for_all(build: Build) -> None:
    each = counts(build({**ZIPF, "exponent": 0.0, "rate_per_s": 50.0}, functions=MANY))
    assert each / each.mean() == pytest.approx(np.ones(50), abs=0.05)


def test_drift_is_zipf_in_every_epoch_and_changes_who_is_popular(build: Build) -> None:
    each = by_epoch(build(DRIFT, functions=MANY), 1440)
    assert np.sort(each, axis=0)[::-1][0] / each.sum(axis=0) == pytest.approx(np.full(10, zipf_shares(50, 1)[0]), 0.1)
    leaders = each.argmax(axis=0)
    assert 2 <= len(set(leaders.tolist())) < 10
    assert each.sum(axis=0) == pytest.approx(np.full(10, 5.0 * 1440), rel=0.05)


def test_churn_0_keeps_one_order_that_the_rows_do_not_give(build: Build) -> None:
    each = by_epoch(build({**DRIFT, "churn": 0.0}, functions=MANY), 1440)
    assert len(set(each.argmax(axis=0).tolist())) == 1
    firsts = {int(counts(build({**DRIFT, "churn": 0.0}, functions=MANY, seed=seed)).argmax()) for seed in range(6)}
    assert len(firsts) > 3


def test_churn_1_forgets(build: Build) -> None:
    each = by_epoch(build({**DRIFT, "churn": 1.0}, functions=MANY), 1440)
    assert abs(np.corrcoef(each[:, 0], each[:, 1])[0, 1]) < 0.4
    kept = by_epoch(build({**DRIFT, "churn": 0.05}, functions=MANY), 1440)
    assert np.corrcoef(kept[:, 0], kept[:, 1])[0, 1] > 0.5


def test_a_day_has_its_peak_where_it_is_said_to_be(build: Build) -> None:
    trace = {"name": "diurnal", "rate_per_s": 3.0, "depth": 0.8, "peak_s": 50_400}
    hours = np.bincount((build(trace, duration_s=172_800.0).arrived_s // 3600).astype(int), minlength=48)
    assert hours.sum() / 172_800 == pytest.approx(3.0, rel=0.02)
    assert hours[[13, 14, 37, 38]] / 3600 == pytest.approx(np.full(4, 3.0 * 1.8), rel=0.06)
    assert hours[[1, 2, 25, 26]] / 3600 == pytest.approx(np.full(4, 3.0 * 0.2), rel=0.15)


def test_peaks_spread_over_functions(build: Build) -> None:
    trace = {"name": "diurnal", "rate_per_s": 20.0, "depth": 1.0, "period_s": 14_400, "peak_s": 7200}
    turn = np.exp(2j * np.pi * np.arange(24) / 24)

    def peaks(found: Workload) -> np.ndarray[Any, Any]:
        bins = by_epoch(found, 600.0)
        return np.angle(bins @ turn) / (2 * np.pi) * 14_400

    alone = peaks(build(trace, functions=MANY[:8]))
    spread = peaks(build({**trace, "peak_spread_s": 7200}, functions=MANY[:8]))
    assert alone[:8].std() < 300 < spread[:8].std()


def test_a_varying_rate_is_followed() -> None:
    edges, rates = np.array([0.0, 100.0, 300.0, 400.0]), np.array([5.0, 0.0, 20.0])
    times = varying_arrivals(np.random.default_rng(4), edges, rates, 0.5)
    found = np.histogram(times, edges)[0]
    assert found[1] == 0
    assert found[[0, 2]] == pytest.approx([500, 2000], rel=0.06)
    assert (np.diff(times) >= 0).all()


@pytest.mark.parametrize(
    ("trace", "message"),
    [
        ({"name": "zipf", "rate_per_s": 1}, 'key "exponent" is missing'),
        ({"name": "zipf", "rate_per_s": 1, "exponent": -1}, "found -1"),
        ({**ZIPF, "exponnt": 1}, 'did you mean "exponent"'),
        ({**DRIFT, "churn": 1.5}, "found 1.5"),
        ({"name": "diurnal", "rate_per_s": 1, "depth": 2}, "found 2"),
    ],
)
def test_bad_keys(build: Build, trace: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(trace)
