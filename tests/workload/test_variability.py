"""The authors' CoV estimator, by hand and against what they published."""

from __future__ import annotations

import csv
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from simlora.workload.segments import eligible_segments
from simlora.workload.variability import PATTERNS, eligible, pattern_of, variability

PUBLISHED = "traces/azure_functions_2019_instainfer_demo/selected_functions_5min.csv"


@pytest.mark.parametrize(
    ("counts", "gaps"),
    [
        ([1, 1, 1], [1, 1, 1]),
        ([0, 2], [2, 1]),
        ([0, 1, 0, 0, 1], [2, 3]),
        ([0, 0, 3, 1], [3, 1 / 2, 1 / 2, 1]),
        ([4, 0, 4, 4, 0], [1 / 4] * 4 + [2, 1 / 3, 1 / 3, 1 / 3] + [1 / 4] * 4),
    ],
)
def test_gaps_by_hand(counts: list[int], gaps: list[float]) -> None:
    found = variability(np.array(counts))
    assert found.mean_gap_min == pytest.approx(np.mean(gaps))
    assert found.cov == pytest.approx(np.std(gaps) / np.mean(gaps))


def test_no_arrivals_have_no_cov() -> None:
    found = variability(np.zeros(5, dtype=np.int64))
    assert math.isnan(found.cov)
    assert found.pattern == "predictable"
    assert not eligible(np.zeros(5, dtype=np.int64), found)


def test_classes_include_their_upper_end() -> None:
    assert [pattern_of(cov) for cov in (0.0, 1.0, 1.0001, 4.0, 4.0001)] == [
        "predictable",
        "predictable",
        "normal",
        "normal",
        "bursty",
    ]


def test_range_of_mean_gaps() -> None:
    rare, once = np.zeros(240, dtype=np.int64), np.zeros(240, dtype=np.int64)
    rare[[0, 239]] = 1
    once[5] = 1
    assert not eligible(rare, variability(rare))
    assert not eligible(once, variability(once))
    assert eligible(np.ones(240, dtype=np.int64), variability(np.ones(240, dtype=np.int64)))
    assert not eligible(np.full(240, 101), variability(np.full(240, 101)))


def test_published_covs(data_dir: Path) -> None:
    with (data_dir / PUBLISHED).open() as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == 8
    for row in rows:
        found = variability(np.array([int(row[str(minute)]) for minute in range(1, 6)]))
        assert f"{found.cov:.6f}" == row["CV"]
        assert f"{found.mean_gap_min:.6f}" == row["AverageInterarrivalTime_min"]


@pytest.mark.parametrize(("cut", "folder"), [("day", "azure_functions_2019_day"), ("8h", "azure_functions_2019_8h")])
def test_segments_are_those_of_the_data_set(data_dir: Path, cut: str, folder: str) -> None:
    with (data_dir / "traces" / folder / "segments_4h.csv").open() as lines:
        listed = [row for row in csv.DictReader(lines) if row["in_instainfer_range"] == "1"]
    wanted = {f"{row['fid']}@{row['start_minute']}": row for row in listed}
    found = {segment.id: segment for pattern in PATTERNS for segment in eligible_segments(data_dir, pattern, cut)}
    assert found.keys() == wanted.keys()
    for name, segment in found.items():
        assert segment.pattern == wanted[name]["class_insta"]
        assert segment.cov == pytest.approx(float(wanted[name]["cv_insta"]), abs=6e-5)
        assert segment.counts.sum() == int(wanted[name]["count"])
    assert Counter(segment.pattern for segment in found.values())["bursty"] == {"day": 206, "8h": 33}[cut]
