"""Everything that is run on a machine with a GPU, on the CPU: it goes on after a kill, and packs what there is."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.torch

ROOT = Path(__file__).parents[2]
STEPS = ("doctor", "model", "kernels", "starts", "profile", "engine", "burst")
PATIENCE_S = 120.0


def started(out: Path, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "experiments.validation.on_gpu", "--device", "cpu", "--out", str(out)]
    return subprocess.Popen([*command, *options], cwd=ROOT)


def progress(out: Path) -> dict[str, Any]:
    path = out / "progress.json"
    return dict(json.loads(path.read_text())) if path.is_file() else {}


@pytest.fixture(scope="module")
def out(raw: Path, cpu_engine: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was killed once its first step was done, and called again; raw measurements were there already."""
    assert cpu_engine.is_file()
    folder = tmp_path_factory.mktemp("on_gpu") / "validation"
    shutil.copytree(raw, folder / "raw")
    killed = started(folder, "--steps", ",".join(STEPS))
    deadline_s = time.monotonic() + PATIENCE_S
    while progress(folder).get("model", {}).get("state") is None:
        assert killed.poll() is None
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    before = progress(folder)["doctor"]
    assert started(folder, "--steps", ",".join(STEPS)).wait() == 0
    assert progress(folder)["doctor"] == before
    return folder


def test_every_step_is_done_once(out: Path) -> None:
    assert {name: row["state"] for name, row in progress(out).items()} == dict.fromkeys(STEPS, "done"), progress(out)


def test_the_validation_stands_on_what_was_measured(out: Path) -> None:
    text = (out / "burst" / "report.md").read_text()
    assert "profile `measured`" in text
    assert "measured-eager" in text


def test_the_archive_holds_all_but_the_weights(out: Path) -> None:
    with tarfile.open(out.with_suffix(".tar.gz")) as packed:
        names = packed.getnames()
    for name in ("progress.json", "measured.toml", "raw/gemm.jsonl", "burst/report.md", "logs/doctor.log"):
        assert f"validation/{name}" in names
    assert not [name for name in names if name.endswith(".safetensors")]
    assert out.with_suffix(".tar.gz").stat().st_size < 15e6


def test_a_step_that_fails_is_recorded_and_stops_no_other(tmp_path: Path) -> None:
    """Without measurements there is nothing to fit."""
    assert started(tmp_path / "v", "--steps", "profile,model").wait() == 0
    found = progress(tmp_path / "v")
    assert found["model"]["state"] == "done"
    assert found["profile"]["state"] == "failed"
    assert "machine.json" in found["profile"]["said"]


def test_out_of_time_there_is_more_to_come(tmp_path: Path) -> None:
    assert started(tmp_path / "v", "--minutes", "0").wait() == 3


def test_a_step_that_does_not_exist_is_named(tmp_path: Path) -> None:
    assert started(tmp_path / "v", "--steps", "modle").wait() == 2
