"""The report of a validation: a prediction that came true has no error, one that did not is told by how much."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from simlora.results.load import Results, load
from simlora.study.run import run_experiment
from simlora.validate.errors import accounted, memory_errors
from simlora.validate.memory import DeviceMemory
from simlora.validate.report import write_report
from simlora.validate.seal import seal

EXPERIMENT = """
seeds = 1
functions = "functions.csv"
prices = ["alibaba-fc-2024-08"]
cluster = { nodes = 1, gpus_per_node = 1 }
[[scenario]]
name = "calm 1"
trace = { name = "poisson", rate_per_s = 0.1 }
duration_s = 200
[[system]]
use = "serverless-lora"
[[system]]
use = "serverless-llm"
"""
FUNCTIONS = """function,backbone,rank,target_modules,slo_ttft_s
a,llama-2-7b,16,q_proj v_proj,2.5
b,llama-2-7b,16,q_proj v_proj,2.5
"""
CLOCK = {"lateness_p50_s": 1e-4, "lateness_p99_s": 2e-3, "answer_p50_s": 1e-4, "answer_p99_s": 1e-3, "answers": 1234}
CELL = "cells/serverless-lora/calm 1/base/0"
BEFORE_BYTES = 500_000_000


@pytest.fixture(scope="module")
def predicted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("validated")
    (folder / "functions.csv").write_text(FUNCTIONS)
    (folder / "experiment.toml").write_text(EXPERIMENT)
    return run_experiment(folder / "experiment.toml", folder / "predicted", jobs=0).out


def measured_like(predicted: Path, out: Path, memory: Any = (), **facts: Any) -> Results:
    """A measurement that came out as predicted, with a wall clock's facts."""
    shutil.copytree(predicted, out / "predicted")
    shutil.copytree(predicted, out / "measured")
    for path in (out / "measured").glob("cells/**/facts.json"):
        own = {**CLOCK, "answers_parted": 0, "memory": list(memory), "memory_before_bytes": BEFORE_BYTES, **facts}
        path.write_text(json.dumps(json.loads(path.read_text()) | own))
    seal(out / "predicted", out)
    return load(out / "measured")


def test_what_came_out_as_predicted_has_no_error(predicted: Path, tmp_path: Path) -> None:
    write_report(load(predicted), measured_like(predicted, tmp_path), tmp_path)
    errors = pd.read_csv(tmp_path / "errors-requests.csv")
    assert set(errors.metric) == {"TTFT", "TPOT", "E2E"}
    assert (errors.error == 0).all()
    assert (pd.read_csv(tmp_path / "errors-stages.csv").error == 0).all()
    assert "missed" not in (tmp_path / "report.md").read_text()


def test_twice_as_long_is_half_as_predicted(predicted: Path, tmp_path: Path) -> None:
    measured_like(predicted, tmp_path)
    path = tmp_path / "measured" / CELL / "requests.parquet"
    rows = pd.read_parquet(path)
    for column in ("first_token_s", "finished_s"):
        rows[column] = rows.arrived_s + 2 * (rows[column] - rows.arrived_s)
    rows.to_parquet(path)
    write_report(load(predicted), load(tmp_path / "measured"), tmp_path)
    errors = pd.read_csv(tmp_path / "errors-requests.csv")
    late = errors[(errors.system == "serverless-lora") & (errors.metric == "TTFT")]
    assert late.error.to_numpy() == pytest.approx(-0.5)
    assert "missed (10%)" in (tmp_path / "report.md").read_text()


def test_the_page_is_one_file_with_every_table_and_figure(predicted: Path, tmp_path: Path) -> None:
    rows = [(at_s, BEFORE_BYTES + 10**9) for at_s in range(-2, 100)]
    write_report(load(predicted), measured_like(predicted, tmp_path, rows), tmp_path)
    page = (tmp_path / "report.html").read_text()
    for anchor in ("requests", "stages", "memory", "totals", "decisions", "calibrated"):
        assert f'<section id="{anchor}">' in page
    assert page.count("data:image/png;base64,") == len(list((tmp_path / "figures").glob("*.png"))) == 5
    assert 'src="http' not in page
    assert "1,234" in page


def test_decisions_that_parted_are_told(predicted: Path, tmp_path: Path) -> None:
    write_report(load(predicted), measured_like(predicted, tmp_path, answers_parted=3), tmp_path)
    assert "| 1,234 | 3 |" in (tmp_path / "report.md").read_text()


def test_memory_is_what_the_driver_tells_beyond_what_was_there_before(predicted: Path, tmp_path: Path) -> None:
    at_s = [5.0, 50.0, 100.0]
    held = accounted(load(predicted), "serverless-lora", "calm 1", pd.Series(at_s).to_numpy())
    assert held.max() > 10e9
    rows = [(-1.0, BEFORE_BYTES), *((t, BEFORE_BYTES + 2 * int(b)) for t, b in zip(at_s, held, strict=True))]
    told = memory_errors(load(predicted), measured_like(predicted, tmp_path, rows))
    [row] = [row for row in told if row["system"] == "serverless-lora"]
    assert row["error"] == pytest.approx(-0.5)
    assert row["samples"] == 3


def test_a_driver_is_asked_until_it_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simlora.validate.memory.EVERY_S", 0.01)
    watch = DeviceMemory(("sh", "-c", "echo 7"))
    while len(watch._rows) < 2:
        pass
    rows = watch.close()
    assert [held for _, held in rows[:2]] == [7 * 2**20] * 2
    assert rows[0][0] < rows[1][0]


@pytest.mark.parametrize("command", [("no-such-program",), ("sh", "-c", "echo no number"), ("false",)])
def test_where_no_driver_answers_nothing_is_told(command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simlora.validate.memory.EVERY_S", 0.0)
    watch = DeviceMemory(command)
    if watch._asking.is_alive():
        watch._asking.join(5)
    assert watch.close() == []
