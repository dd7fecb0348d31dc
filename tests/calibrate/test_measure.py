"""The micro-benchmarks, run on this machine's processor with a tiny model: the code that a GPU runs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from simlora.cluster.config import ClusterConfig
from simlora.entities import Function
from simlora.latency import load_backbone, load_profile
from simlora.testing.scenario import Scenario, make_workload

pytestmark = pytest.mark.torch

ROOT = Path(__file__).parents[2]
QUICK = ("gemm", "attention", "transfers", "lora", "storage", "elementwise")


def measure(out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "calibrate.measure", "--device", "cpu", "--out", str(out), *options]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("measured")
    done = measure(folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_part_measures_every_case_once(measured: Path) -> None:
    from calibrate.measure.suite import PARTS, key

    assert {path.stem for path in measured.glob("*.jsonl")} == set(PARTS)
    for name in PARTS:
        cases = [key(row["case"]) for row in read(measured / f"{name}.jsonl")]
        assert len(cases) == len(set(cases)) > 0, name


@pytest.mark.parametrize("part", [*QUICK, "step", "process"])
def test_results_are_raw_samples_of_positive_seconds(measured: Path, part: str) -> None:
    for row in read(measured / f"{part}.jsonl"):
        assert "skipped" not in row, row
        samples = row["seconds"] if isinstance(row["seconds"], list) else [row["seconds"]]
        assert all(0 < sample < 60 for sample in samples), row


def test_a_product_of_twice_the_rows_is_not_faster_by_half(measured: Path) -> None:
    """Sanity of the clock: work that grows eightfold cannot take less than half."""
    best = {tuple(r["case"].values()): min(r["seconds"]) for r in read(measured / "gemm.jsonl")}
    for (m, n, k), seconds in best.items():
        if m == 1 and (256, n, k) in best:
            assert best[256, n, k] > seconds / 2


def test_mapped_tensors_hold_what_was_exported(measured: Path) -> None:
    assert all(row["same"] is True for row in read(measured / "ipc.jsonl"))


def test_a_second_run_measures_nothing_anew(measured: Path) -> None:
    before = {path.name: path.read_text() for path in measured.glob("*.jsonl")}
    assert measure(measured).returncode == 0
    assert {path.name: path.read_text() for path in measured.glob("*.jsonl")} == before


def test_an_interrupted_part_goes_on_and_loses_only_the_line_cut_short(measured: Path, tmp_path: Path) -> None:
    lines = (measured / "lora.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "lora.jsonl").write_text("".join(lines[:3]) + lines[3][:20])
    assert measure(tmp_path, "--parts", "lora").returncode == 0
    rows = read(tmp_path / "lora.jsonl")
    assert len(rows) == len(lines)
    assert rows[:3] == [json.loads(line) for line in lines[:3]]


def test_out_of_time_is_told_by_the_exit_code(tmp_path: Path) -> None:
    assert measure(tmp_path, "--parts", "gemm", "--minutes", "0").returncode == 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--parts", "gemn"), 'no part "gemn"; there are gemm, attention'),
        (("--models", "llama-9"), 'no model "llama-9"; there are llama-2-7b'),
    ],
)
def test_bad_options_are_one_message(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    done = measure(tmp_path, *options)
    assert done.returncode
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_what_was_measured_becomes_a_profile_that_drives_a_model(measured: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    command = [sys.executable, "-m", "calibrate.measured", str(measured), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    model = load_profile(str(path), "hf-eager").model("tiny-llama")
    assert 0 < model.decode_step_s([64]) < model.prefill_s([1024])


def test_the_verb_goes_on_from_what_is_there_and_its_profile_drives_a_simulation(
    measured: Path, tmp_path: Path
) -> None:
    shutil.copytree(measured, tmp_path / "here-raw")
    path = tmp_path / "here.toml"
    command = [sys.executable, "-m", "simlora.cli", "calibrate", "--device", "cpu", "--out", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert "held-out shapes" in done.stdout
    engine = str(tmp_path / "here-eager.toml")
    cluster = ClusterConfig(nodes=1, gpus_per_node=1)
    functions = [Function(0, "a", load_backbone("tiny-llama"), 8, ("q_proj", "v_proj"), 60.0)]
    workload = make_workload([(0.0, 0, 8, 4), (0.5, 0, 16, 4)])
    scenario = Scenario("vllm", functions, workload, cluster=cluster, profile=str(path), overrides={"engine": engine})
    assert (scenario.run().requests["finished_s"].to_numpy() > 0).all()


def test_calibrate_wants_a_toml_file_to_write(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "simlora.cli", "calibrate", "--device", "cpu", "--out", str(tmp_path / "here")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2
    assert "a profile is a .toml file" in done.stderr
