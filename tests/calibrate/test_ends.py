"""Commands that lack what they need say so in one line, with the cure."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def ended(module: str, *options: str, data: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"calibrate.{module}", *options]
    environment = {**os.environ, "SIMLORA_DATA": data, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)


@pytest.mark.parametrize("data", ["", "/nowhere"])
@pytest.mark.parametrize(("module", "folder"), [("engine_tables", "lora_dt"), ("public_tables", "aiconfigurator")])
def test_without_the_public_tables(module: str, folder: str, data: str) -> None:
    done = ended(module, data=data)
    looked_for = Path(data) / "calibration" / folder
    said = f"set SIMLORA_DATA to a folder that holds calibration/{folder} (looked for {looked_for})\n"
    assert (done.returncode, done.stderr) == (2, said)


@pytest.mark.skipif(find_spec("torch") is not None, reason="torch is there")
@pytest.mark.parametrize("module", ["measure", "arrivals_lstm"])
def test_without_torch(module: str) -> None:
    done = ended(module, "--help")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert f"python -m calibrate.{module} needs torch" in done.stderr
    assert "pip install" in done.stderr
