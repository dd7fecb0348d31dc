"""Real Azure traffic through all four systems, end to end: an hour of each class."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from simlora.results.load import load
from simlora.results.summary import COLUMNS, KEYS
from simlora.study.run import run_experiment

FUNCTIONS = Path(__file__).parents[2] / "experiments" / "quickstart" / "functions.csv"
SYSTEMS = ("serverless-lora", "serverless-llm", "insta-infer", "vllm")
EXPERIMENT = """\
seeds = 1
functions = "{functions}"
prices = ["alibaba-fc-2024-08", "ec2-on-demand-2026"]

[[scenario]]
name = "{pattern}"
trace = "azure-functions-2019/{pattern}"
duration_s = 3600

[[system]]
use = "serverless-lora"

[[system]]
use = "serverless-llm"

[[system]]
use = "insta-infer"

[[system]]
name = "vllm"
base = "vllm"
fewest = false
"""


@pytest.mark.parametrize("pattern", ["predictable", "normal", "bursty"])
def test_an_hour_of_real_traffic(pattern: str, data_dir: Path, tmp_path: Path) -> None:
    file = tmp_path / "experiment.toml"
    file.write_text(EXPERIMENT.format(functions=FUNCTIONS.as_posix(), pattern=pattern), encoding="utf-8")
    ran = run_experiment(file, out=tmp_path / "out", jobs=0)
    assert not ran.failed
    results = load(ran.out)
    summary = results.summary
    assert sorted(summary["system"]) == sorted(SYSTEMS)
    assert set(summary) >= {*KEYS, *COLUMNS}
    assert not summary[["ttft_mean_s", "e2e_mean_s", "cost_usd", "slo_attainment", "gpus_mean"]].isna().any(axis=None)
    assert (summary["requests"] > 0).all()
    assert summary["requests"].nunique() == 1
    ended = summary[["finished", "rejected", "failed", "timed_out"]].sum(axis=1)
    assert (ended == summary["requests"]).all()
    for cell in results.cells:
        assert cell.facts["workload"].startswith(f"real: Azure Functions 2019 (day set), 8 {pattern} segments")
        assert cell.table("requests").num_rows == summary["requests"].iloc[0]
        assert cell.table("usage").num_rows > 0
        assert cell.table("events").num_rows > 0


def test_a_segment_beside_its_replicas(
    data_dir: Path, script: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    replicas = script("replicas/replicas.py")
    monkeypatch.setattr(replicas, "REPLICAS", 3)
    pattern, segment = next(replicas.drawn(1, data_dir))
    assert next(replicas.drawn(2, data_dir)) == (pattern, segment)
    row = replicas.compare(pattern, segment, "serverless-lora", data_dir)
    for name in replicas.FIGURES:
        low, high = row[f"{name} low"], row[f"{name} high"]
        assert 0 < low < high
        assert row[f"{name} inside"] == (low <= row[name] <= high)
