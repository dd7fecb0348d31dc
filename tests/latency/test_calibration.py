"""The shipped coefficients are those of the public tables, with the errors they state."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from calibrate import cold_starts, engine_tables, public_tables
from simlora.latency import load_engine, load_profile
from simlora.latency import profile as profile_module


@pytest.mark.parametrize("name", sorted(public_tables.TABLES))
def test_the_shipped_profile_is_what_the_tables_give(name: str, tables_dir: Path) -> None:
    fitted, held_out = public_tables.fit_profile(tables_dir / "aiconfigurator", name)
    shipped = tomllib.loads((profile_module.HERE / f"{name}.toml").read_text())
    for part in ("linear", "prefill_attention", "decode_attention", "lora", "elementwise"):
        for key, value in public_tables.rounded(fitted[part]).items():
            if key == "residuals":
                assert [row["points"] for row in shipped[part][key]] == [row["points"] for row in value], part
                assert [row["p50"] for row in shipped[part][key]] == pytest.approx([r["p50"] for r in value], abs=2e-3)
                continue
            expected = pytest.approx(value, rel=1e-4, abs=1e-18) if isinstance(value, (float, list)) else value
            assert shipped[part][key] == expected, f"{part}.{key}"
    for part, held in held_out.items():
        assert shipped[part]["error"] == fitted[part]["error"]
        for what, points in held.items():
            error = points.error
            assert error.median <= 0.13, f"{part}, held-out {what}: {error}"
            assert abs(error.bias) <= 0.16, f"{part}, held-out {what}: {error}"


@pytest.mark.parametrize("name", ["h100-sxm", "h200-sxm"])
def test_products_of_hopper_are_within_the_bar(name: str) -> None:
    """5 % in the median and 15 % at the 90th percentile, on whole shapes and on token counts the fit has not seen."""
    stated = re.findall(r"median ([\d.]+)%, p90 ([\d.]+)%", load_profile(name).kernels.linear.error)
    assert len(stated) == 2
    assert all(float(median) <= 5 and float(p90) <= 15 for median, p90 in stated)


def test_eager_host_time_is_what_the_published_figure_leaves() -> None:
    engine = load_engine("hf-eager")
    assert engine.host.layer_s == pytest.approx(engine_tables.eager_layer_s(), rel=0.01)
    first_run = next(stage for stage in engine.stage if stage.name == "first_run")
    assert first_run.seconds == pytest.approx(engine_tables.first_run_s(), abs=0.02)


def test_vllm_host_time_is_what_the_step_times_leave(tables_dir: Path) -> None:
    fitted = engine_tables.vllm_host(tables_dir / "lora_dt")
    engine = load_engine("vllm-0.8.5")
    shipped = (
        *(engine.host.step_s, engine.host.sequence_s),
        *(engine.lora.slot_s, engine.lora.step_s, engine.lora.adapter_s, engine.lora.sequence_s),
        *(engine.prefill_host.dispatch_s, engine.prefill_host.request_s),
    )
    assert shipped == pytest.approx(fitted[: len(shipped)], rel=0.01)
    assert fitted.base.median <= 0.02
    assert fitted.lora.median <= 0.02
    assert fitted.lora.p90 <= 0.05


def test_stages_of_cold_starts_are_near_the_published_ones_or_explained(tables_dir: Path) -> None:
    starts = cold_starts.cold_starts(tables_dir)
    far = [start.what for start in starts if abs(start.error) > cold_starts.BAR and not start.why]
    assert far == []
    needless = [start.what for start in starts if abs(start.error) <= cold_starts.BAR and start.why]
    assert needless == []
    assert sum(not start.fitted and not start.why for start in starts) >= 5


def test_stages_that_were_fitted_are_what_the_logs_say(tables_dir: Path) -> None:
    for start in cold_starts.cold_starts(tables_dir):
        if start.fitted:
            assert abs(start.error) < 0.05, start
