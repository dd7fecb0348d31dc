"""Trace models: what a fit keeps, what replicas hold, and what is shipped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from simlora.errors import TraceError
from simlora.workload import shipped
from simlora.workload.fit import fit_pattern, goodness_table, main
from simlora.workload.models.distribution import POINTS, Points, rank_correlation, remembering_ranks
from simlora.workload.models.fidelity import STAND_INS, held, stand_ins
from simlora.workload.models.pattern import load_pattern_model, model_path
from simlora.workload.models.segment import SegmentModel, fit_segment
from simlora.workload.segments import eligible_segments, function_of
from simlora.workload.shipped import shipped_dir
from simlora.workload.variability import PATTERNS, variability

samples = st.lists(st.integers(1, 500), min_size=1, max_size=60)
some_counts = st.lists(st.integers(0, 50), min_size=2, max_size=240).map(lambda counts: np.array(counts)).filter(any)


@given(samples)
def test_few_points_keep_the_mean(values: list[int]) -> None:
    points = Points.fit(values)
    assert len(points.values) <= POINTS
    assert points.weights.sum() == len(values)
    assert points.values @ points.weights == pytest.approx(sum(values))
    assert (np.diff(points.values) > 0).all()
    if len(set(values)) <= POINTS:
        assert points.values.tolist() == sorted(set(values))


@given(samples)
def test_draws_have_the_mean_of_the_samples(values: list[int]) -> None:
    points = Points.fit(values)
    drawn = points.draw(np.linspace(0, 1, 20_000, endpoint=False), np.random.default_rng(1))
    assert drawn.mean() == pytest.approx(np.mean(values), rel=0.02)
    assert drawn.min() >= min(values)
    assert drawn.max() <= max(values)


@pytest.mark.parametrize("memory", [-1.0, -0.5, 0.0, 0.7, 1.0])
def test_ranks_are_uniform_and_remember(memory: float) -> None:
    ranks = np.concatenate([remembering_ranks(np.random.default_rng(seed), 50, memory) for seed in range(2000)])
    assert np.histogram(ranks, bins=5, range=(0, 1))[0] / len(ranks) == pytest.approx(np.full(5, 0.2), abs=0.02)
    pairs = ranks.reshape(2000, 50)
    assert rank_correlation(pairs[:, :-1].ravel(), pairs[:, 1:].ravel()) == pytest.approx(memory, abs=0.03)


def test_rank_correlation_by_hand() -> None:
    assert rank_correlation([1, 2, 3, 4], [10, 20, 30, 99]) == pytest.approx(1.0)
    assert rank_correlation([1, 2, 3, 4], [4, 3, 2, 1]) == pytest.approx(-1.0)
    assert rank_correlation([1, 1, 1, 1], [4, 3, 2, 1]) == 0.0
    ties = [1, 1, 1, 2, 3], [1, 2, 3, 4, 9]
    assert rank_correlation(*ties) == pytest.approx(spearmanr(*ties).statistic)


def test_a_value_between_whole_numbers_becomes_either() -> None:
    drawn = Points.parse("1.25*3").draw(np.zeros(20_000), np.random.default_rng(1))
    assert set(drawn) == {1, 2}
    assert drawn.mean() == pytest.approx(1.25, abs=0.02)


def test_nearest_values_are_merged() -> None:
    assert Points.fit([1, 1, 1, 10, 11, 100, 1000], keep=4).values.tolist() == [1, 10.5, 100, 1000]


@given(some_counts)
def test_a_model_is_what_it_writes(counts: np.ndarray) -> None:
    text = str(fit_segment(counts))
    assert str(SegmentModel.parse(text)) == text


@pytest.mark.parametrize("period", [1, 3, 5])
def test_timers_stay_exact(period: int) -> None:
    counts = np.zeros(240, dtype=np.int64)
    counts[2 % period :: period] = 2
    replica = fit_segment(counts).sample(np.random.default_rng(1), 240)
    assert replica.sum() == counts.sum()
    assert set(np.diff(np.flatnonzero(replica))) == {period}
    assert replica.max() == 2


def test_replicas_have_as_many_requests_on_average() -> None:
    rng = np.random.default_rng(4)
    counts = np.where(rng.random(240) < 0.3, rng.integers(1, 20, 240), 0)
    model = fit_segment(counts)
    replicas = [model.sample(rng, 240) for _ in range(600)]
    assert np.mean([replica.sum() for replica in replicas]) == pytest.approx(counts.sum(), rel=0.04)
    assert np.mean([(replica == 0).mean() for replica in replicas]) == pytest.approx((counts == 0).mean(), rel=0.03)


def test_replicas_start_in_equilibrium() -> None:
    model = SegmentModel.parse("1*9,31*1 1*1 0 0 0")
    busy_at_first = [model.sample(np.random.default_rng(seed), 5)[0] for seed in range(3000)]
    assert np.mean(busy_at_first) == pytest.approx(1 / 4, abs=0.03)


@pytest.mark.parametrize("tie", [1.0, -1.0])
def test_a_count_is_tied_to_the_gap_after_it(tie: float) -> None:
    replica = SegmentModel.parse(f"1*1,9*1 1*1,5*1 0 0 {tie}").sample(np.random.default_rng(1), 500)
    busy = np.flatnonzero(replica)
    assert set(replica[busy[:-1]][np.diff(busy) == 9]) == ({5} if tie > 0 else {1})


def test_nothing_to_fit() -> None:
    with pytest.raises(TraceError, match="without requests"):
        fit_segment(np.zeros(240, dtype=np.int64))


def test_stand_ins_by_hand() -> None:
    counts = np.zeros(10, dtype=np.int64)
    counts[0], counts[5] = 2, 1
    cold, covered_s, queue_s, requests = stand_ins(counts, np.random.default_rng(1))
    assert cold == pytest.approx(2 / 3)
    assert covered_s == pytest.approx(60 + 30 + 60, abs=2)
    assert queue_s == pytest.approx(1.0)
    assert requests == 3


def test_requests_wait_for_those_before_them() -> None:
    _, _, queue_s, _ = stand_ins(np.array([100]), np.random.default_rng(1))
    assert queue_s == pytest.approx(np.mean(np.arange(1, 101)), abs=1.5)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_shipped_models(pattern: str) -> None:
    model = load_pattern_model(model_path(pattern))
    assert model.pattern == pattern
    assert len(model.segments) == model.provenance["segments"]
    assert len({function_of(name) for name in model.segments}) == model.provenance["functions"]
    for key in ("data_set", "origin", "licence", "cite", "fitted", "command"):
        assert model.provenance[key]
    assert all(model.provenance["inside_90"][name] >= 0.8 for name in STAND_INS)
    rng = np.random.default_rng(1)
    names = list(model.segments)[:: len(model.segments) // 40]
    own = [variability(model.sample(name, rng, 240)).pattern for name in names]
    assert own.count(pattern) >= len(own) - 1
    assert len(model.sample(names[0], rng, 10)) == 10
    assert len(model.sample(names[0], rng, 1000)) == 1000


def test_readme_states_the_fit_quality_of_the_files() -> None:
    text = (shipped_dir() / "README.md").read_text(encoding="utf-8")
    for table in goodness_table().split("\n\n"):
        assert table in text


def test_fit_gives_what_is_shipped(data_dir: Path, tmp_path: Path) -> None:
    made = load_pattern_model(fit_pattern(data_dir, "bursty", tmp_path))
    shipped_model = load_pattern_model(model_path("bursty"))
    assert made.segments == shipped_model.segments
    for name in STAND_INS:
        assert made.provenance["inside_90"][name] == pytest.approx(
            shipped_model.provenance["inside_90"][name], abs=0.02
        )


@pytest.mark.parametrize("pattern", PATTERNS)
def test_replicas_hold_their_segments(data_dir: Path, pattern: str) -> None:
    """At other seeds than the shipped figures, on a part of the segments."""
    segments = eligible_segments(data_dir, pattern)
    some = segments[:: len(segments) // 100]
    assert (held(load_pattern_model(model_path(pattern)), some, seed=7).share >= 0.8).all()


def test_fit_without_data(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("SIMLORA_DATA", raising=False)
    assert main([]) == 2
    assert "SIMLORA_DATA" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["pattern = 3\n", 'pattern = "bursty"\nsegments = "x"\n[provenance]\n', "=="])
def test_damaged_model_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "m.toml").write_text(text)
    with pytest.raises(TraceError, match=r"m\.toml"):
        load_pattern_model(tmp_path / "m.toml")


def test_shipped_files_are_found_in_a_wheel_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped, "PACKAGE", tmp_path / "simlora")
    assert shipped.shipped_dir() == tmp_path / "traces"
    (tmp_path / "simlora" / "_traces").mkdir(parents=True)
    assert shipped.shipped_dir() == tmp_path / "simlora" / "_traces"
