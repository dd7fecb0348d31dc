"""A latency profile of this machine's processor, measured when it is needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def cpu_profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("profile")
    raw, profile = folder / "raw", folder / "mine.toml"
    parts = ["--parts", "gemm,attention,transfers,elementwise"]
    for command in (
        ["calibrate.measure", "--device", "cpu", "--out", str(raw), *parts],
        ["calibrate.measured", str(raw), str(profile)],
    ):
        subprocess.run([sys.executable, "-m", *command], cwd=ROOT, check=True)
    return profile
