"""``simlora validate`` on the CPU: the prediction is sealed first, what is measured is kept, and they are near."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from simlora.validate.run import validate

pytestmark = pytest.mark.torch

EXPERIMENT = """
seeds = 1
functions = "functions.csv"
prices = ["alibaba-fc-2024-08"]
profile = "{profile}"
cluster = {{ nodes = 1, gpus_per_node = 1 }}
[[scenario]]
name = "light"
trace = {{ name = "poisson", rate_per_s = 0.5 }}
lengths = {{ name = "fixed", prompt_tokens = 30, output_tokens = 12 }}
duration_s = 20
[[system]]
name = "lora"
base = "serverless-lora"
engine = "{engine}"
"""
FUNCTIONS = """function,backbone,rank,target_modules,slo_ttft_s
f0,tiny-llama,8,q_proj v_proj,2.5
f1,tiny-llama,8,q_proj v_proj,2.5
f2,tiny-llama,16,q_proj v_proj,2.5
"""
FACTOR = 4.0
"""Most by which mean times may differ on a machine that others use."""


@pytest.fixture(scope="module")
def experiment(cpu_profile: Path, cpu_engine: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("validation")
    (folder / "functions.csv").write_text(FUNCTIONS)
    path = folder / "experiment.toml"
    path.write_text(EXPERIMENT.format(profile=cpu_profile, engine=cpu_engine))
    validate(path, "cpu", folder / "out")
    return path


def test_what_is_measured_lies_beside_the_sealed_prediction(experiment: Path) -> None:
    out = experiment.parent / "out"
    requests = [
        pd.read_parquet(out / side / "cells/lora/light/base/0/requests.parquet") for side in ("predicted", "measured")
    ]
    assert len(requests[0]) == len(requests[1]) > 10
    assert set(requests[1].outcome) == {"finished"}
    assert (out / "figures" / "lora-light.png").is_file()
    facts = json.loads((out / "measured/cells/lora/light/base/0/facts.json").read_text())
    assert facts["answers"] > 20
    assert facts["answers_parted"] == 0, facts["parted"]
    text = (out / "report.md").read_text()
    assert "The prediction is as it was sealed." in text
    assert "| lora | light | library |" in text


@pytest.mark.parametrize("metric", ["TPOT", "E2E"])
def test_times_are_near_the_prediction(experiment: Path, metric: str) -> None:
    errors = pd.read_csv(experiment.parent / "out" / "errors-requests.csv")
    [row] = errors[(errors.metric == metric) & (errors.statistic == "mean")].itertuples()
    assert 1 / FACTOR < row.predicted_s / row.measured_s < FACTOR


def test_the_longest_stage_is_near_the_prediction(experiment: Path) -> None:
    """Libraries: the one that takes seconds, the others being as short as the noise of a shared machine."""
    stages = pd.read_csv(experiment.parent / "out" / "errors-stages.csv")
    [row] = stages[stages.stage == "library"].itertuples()
    assert 1 / FACTOR < row.predicted_s / row.measured_s < FACTOR


def test_a_second_call_measures_nothing_anew(experiment: Path) -> None:
    out = experiment.parent / "out"
    before = {path: path.stat().st_mtime_ns for path in out.glob("measured/cells/**/requests.parquet")}
    sealed = (out / "prediction.json").read_bytes()
    validate(experiment, "cpu", out)
    assert {path: path.stat().st_mtime_ns for path in out.glob("measured/cells/**/requests.parquet")} == before
    assert (out / "prediction.json").read_bytes() == sealed


def test_a_prediction_that_was_changed_is_named(experiment: Path) -> None:
    from simlora.validate.seal import broken

    out = experiment.parent / "out"
    sealed = json.loads((out / "prediction.json").read_text())
    name = "cells/lora/light/base/0/usage.parquet"
    (out / "prediction.json").write_text(json.dumps({**sealed, "sha256": {**sealed["sha256"], name: "0"}}))
    assert broken(out / "predicted", out) == [name]
