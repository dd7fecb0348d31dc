"""Rates from counts per minute: the average is what its definition gives, the network is the one that torch trained."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import simlora
from simlora.policies.forecast import ClairvoyantRate, Ewma, Lstm, NoisyRate
from simlora.policies.forecast.network import WEIGHTS, shipped
from simlora.policies.foresight import Future
from simlora.testing import Snapshot, World, make_functions
from simlora.testing.estimates import TableEstimates

F0, F1, F2 = FUNCTIONS = make_functions(*["llama-2-7b"] * 3)
LAW = settings(max_examples=60, deadline=None, derandomize=True)
COUNTS = st.lists(st.integers(0, 3), min_size=1, max_size=30)
PAGE = Path(simlora.__file__).parent / "systems" / "predictive-lora.md"


def call(policy: Any, counts: Sequence[int], function: Any = F0) -> None:
    """So many calls in each minute, spread over it."""
    for minute, count in enumerate(counts):
        for one in range(count):
            policy.observe_arrival(function, 60.0 * (minute + one / count))


@LAW
@given(counts=COUNTS, later=st.integers(0, 3), weight=st.sampled_from((0.1, 0.3, 1.0)))
def test_the_exponential_average_is_that_of_all_full_minutes(counts: list[int], later: int, weight: float) -> None:
    policy, average = Ewma(weight), 0.0
    call(policy, counts)
    for count in [*counts, *[0] * later]:
        average = (1 - weight) * average + weight * count
    now_s = 60.0 * (len(counts) + later)
    assert policy.rate_per_s(F0, now_s) == pytest.approx(average / 60, rel=1e-9, abs=1e-15)
    assert policy.rate_per_s(F0, now_s + 59.9) == policy.rate_per_s(F0, now_s)
    assert policy.rate_per_s(F1, now_s) == 0


def test_the_network_answers_as_torch_did() -> None:
    with np.load(WEIGHTS) as stored:
        assert len(np.unique(stored["shown"], axis=0)) > 8
        assert shipped().chances(stored["shown"].tolist()) == pytest.approx(stored["answers"].tolist(), abs=2e-5)


@LAW
@given(windows=st.lists(st.lists(st.integers(0, 40), min_size=10, max_size=10), min_size=1, max_size=40))
def test_an_answer_does_not_depend_on_what_is_asked_beside_it(windows: list[list[int]]) -> None:
    together = shipped().chances(windows)
    assert together == [shipped().chances([window])[0] for window in windows]
    assert all(0 <= chance <= 1 for chance in together)


def test_the_network_knows_a_timer() -> None:
    """Called every five minutes, the minute in which it is due is by far the likeliest."""
    windows = [[int((minute + past) % 5 == 0) for past in range(10)] for minute in range(5)]
    due, *others = (shipped().chances(windows[minute : minute + 1])[0] for minute in (0, 1, 2, 3, 4))
    assert due > 0.9
    assert max(others) < 0.1


@LAW
@given(counts=COUNTS, others=COUNTS, later=st.integers(0, 12))
def test_the_rate_is_the_networks_chance_after_the_last_ten_minutes(
    counts: list[int], others: list[int], later: int
) -> None:
    policy, minute = Lstm(), len(counts) + later
    calls = sorted(
        (60.0 * m + 7 * n, f) for f, c in ((0, counts), (1, others)) for m, k in enumerate(c) for n in range(k)
    )
    for at_s, index in calls:
        if at_s < 60 * minute:
            policy.observe_arrival(FUNCTIONS[index], at_s)
    window = [0] * 10 + counts + [0] * later
    chance = shipped().chances([window[-10:]])[0] if any(counts) else 0.0
    rates = [policy.rate_per_s(F0, 60.0 * minute + passed_s) for passed_s in (0.0, 31.0, 59.9)]
    assert rates == [pytest.approx(-math.log1p(-min(chance, 1 - 1e-6)) / 60)] * 3
    policy.observe_arrival(F2, 60.0 * minute + 59.95)
    assert policy.rate_per_s(F0, 60.0 * minute + 59.95) == rates[0]
    assert policy.rate_per_s(F2, 60.0 * minute + 59.95) == pytest.approx(
        -math.log1p(-shipped().chances([[0] * 10])[0]) / 60
    )


def noisy(accuracy: float, future: Future) -> NoisyRate:
    policy = NoisyRate(accuracy=accuracy)
    policy.foresee(future)
    policy.bind(World(Snapshot(0.0, FUNCTIONS), {}, (), TableEstimates()).context())
    return policy


@pytest.mark.parametrize("accuracy", [0.0, 0.7, 1.0])
def test_an_oracle_with_noise_errs_as_often_as_it_says(accuracy: float) -> None:
    future = Future((F0, 60.0 * minute + 1.0) for minute in range(0, 2000, 3))
    truth, policy = ClairvoyantRate(horizon_s=60.0), noisy(accuracy, future)
    truth.foresee(future)
    minutes = [60.0 * minute for minute in range(1, 2000)]
    right = [bool(policy.rate_per_s(F0, now_s)) == bool(truth.rate_per_s(F0, now_s)) for now_s in minutes]
    assert np.mean(right) == pytest.approx(accuracy, abs=0.03)
    assert [policy.rate_per_s(F0, now_s) for now_s in minutes] == [
        noisy(accuracy, future).rate_per_s(F0, s) for s in minutes
    ]


def facts() -> dict[str, Any]:
    with np.load(WEIGHTS) as stored:
        stated: dict[str, Any] = json.loads(str(stored["facts"]))
    return stated


def test_the_weights_are_small_and_say_where_they_come_from() -> None:
    assert WEIGHTS.stat().st_size < 100_000
    stated = facts()
    assert stated["command"].endswith("python -m calibrate.arrivals_lstm")
    assert stated["training"]["seed"] == 0
    assert "CC-BY 4.0" in stated["source"]
    assert stated["learnt from"]["file"] != stated["held out"]["file"]


def test_the_page_states_the_errors_that_the_weights_state() -> None:
    page = PAGE.read_text(encoding="utf-8")
    held_out = facts()["held out"]
    for name in ("lstm", "ewma", "naive", "mean"):
        errors = held_out[name]
        assert f"| {name} | {100 * errors['wrong']:.1f} % | {errors['brier']:.3f} |" in page
