"""Reports on latency profiles: measured beside fitted where the tables are, what the profile states elsewhere."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from simlora.errors import ConfigError
from simlora.latency import list_profiles, load_profile
from simlora.study import profiles
from simlora.study.workloads import DATA_VARIABLE


@pytest.mark.parametrize("name", list_profiles())
def test_a_profile_carries_residuals_that_agree_with_its_stated_errors(name: str) -> None:
    """The median error of the parts lies within the spread of the classes of size."""
    residuals = profiles.residuals_of(load_profile(name))
    assert {"linear", "prefill_attention", "decode_attention", "lora"} <= set(residuals["part"])
    assert (residuals[["p10", "p50"]].diff(axis=1)["p50"] >= 0).all()
    assert (residuals["p50"] <= residuals["p90"]).all()
    for _, own in residuals.groupby(["part", "of"]):
        assert own["upto"].is_monotonic_increasing
        assert own["p10"].min() < 0 < own["p90"].max()


def test_without_the_tables_the_report_shows_what_the_profile_states(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    text = profiles.write_report("l40s", tmp_path).read_text()
    assert load_profile("l40s").kernels.linear.error in text
    assert {path.name for path in tmp_path.glob("*.png")} == {"residuals.png"}
    rows = [line for line in text.splitlines() if line.startswith("| linear | shapes |")]
    assert len(rows) == len(profiles.residuals_of(load_profile("l40s")).query("part == 'linear' and of == 'shapes'"))


def test_with_the_tables_the_report_sets_measured_beside_fitted(
    tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DATA_VARIABLE, str(data_dir))
    text = profiles.write_report("a100-sxm-80gb", tmp_path).read_text()
    points = pd.read_csv(tmp_path / "held-out.csv")
    linear = points[(points["part"] == "linear") & (points["held_out"] == "shapes")]
    median = (linear["fitted_s"] / linear["measured_s"] - 1).abs().median()
    assert f"| linear | shapes | {len(linear):,} | {median:.1%} |" in text
    assert (linear["roofline_s"] < 1.05 * linear["measured_s"]).all()
    assert "a layer of llama-2-7b without attention, Vidur" in text
    assert {"held-out.png", "residuals.png"} <= {path.name for path in tmp_path.iterdir()}


def test_a_profile_differs_from_another_but_not_from_itself() -> None:
    same, other = (profiles.differences("h100-sxm", name).columns[-1].cells for name in ("h100-sxm", "h200-sxm"))
    assert set(same) == {"1.000"}
    ratios = [float(ratio) for ratio in other]
    assert min(ratios) < 0.85
    assert max(ratios) < 1.05


def test_a_name_that_is_none_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match='did you mean "l40s"'):
        profiles.write_report("l40", tmp_path)
