"""One-hour runs of a real engine are predicted from its step times alone."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from calibrate.public_tables import rounded
from simlora.latency.models import load_backbone

FOLDER = Path(__file__).parents[2] / "experiments" / "lora-serving"


@pytest.fixture
def working_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the script puts its results."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_card_and_engine_are_what_the_step_times_give(script: Callable[[str], ModuleType], data_dir: Path) -> None:
    fit = script("lora-serving/fit.py")
    for name, fitted in ((fit.CARD, fit.card()), (fit.ENGINE, fit.fit_engine(data_dir / "calibration" / "lora_dt"))):
        shipped = tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
        for part, value in rounded(fitted).items():
            if not isinstance(value, dict):
                assert shipped[part] == value
                continue
            numbers = {key: figure for key, figure in value.items() if isinstance(figure, float)}
            assert {key: shipped[part][key] for key in numbers} == pytest.approx(numbers, rel=1e-4), part


@pytest.mark.parametrize(("slots", "width"), [(8, 16), (128, 16), (192, 32)])
def test_as_much_kv_is_left_beside_the_slots_as_was_measured(
    script: Callable[[str], ModuleType], data_dir: Path, working_dir: Path, slots: int, width: int
) -> None:
    predict = script("lora-serving/predict.py")
    table = pd.read_csv(data_dir / "calibration" / "lora_dt" / "kv_capacity_vs_adapter_slots.csv")
    own = table[table.model.str.startswith("qwen") & (table.max_loras == slots) & (table.max_lora_rank == width)]
    estimates = predict.scenario([1.0], [width], slots, slots, seed=0).simulation().estimates
    backbone = load_backbone(predict.BACKBONE)
    tokens = estimates.pool_bytes(backbone, estimates.profile.gpu.usable_bytes) / backbone.kv_bytes_per_token
    assert tokens == pytest.approx(own.kv_tokens.iloc[0], rel=0.01)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_run_without_waiting_and_one_that_waits_for_slots(
    script: Callable[[str], ModuleType], data_dir: Path, working_dir: Path
) -> None:
    """Throughput within 5 %, inter-token latency within 10 %; time to first token within 20 % where slots are short."""
    predict = script("lora-serving/predict.py")
    runs = predict.measured_runs(data_dir / "calibration" / "lora_dt")
    runs = runs[(runs.max_lora_rank == 16) & (runs.n_adapters == 64) & runs.max_loras.isin((8, 64))]
    assert len(runs) == 2
    for at, run in zip(runs.index, runs.itertuples(), strict=True):
        told = predict.predicted(run, at)
        assert told["throughput"] == pytest.approx(run.out_tok_s, rel=0.05)
        assert told["itl"] == pytest.approx(run.itl_mean_ms, rel=0.10)
        assert told["ttft"] == pytest.approx(run.ttft_mean_ms, rel=0.20 if run.max_loras == 8 else 0.35)
