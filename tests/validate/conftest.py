"""This machine's processor, measured when it is needed: kernels and eager engine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KERNELS = "gemm,attention,transfers,elementwise"
ENGINE = "transformers_step,cold_start"


def run(module: str, *options: str) -> None:
    subprocess.run([sys.executable, "-m", module, *options], cwd=ROOT, check=True)


@pytest.fixture(scope="session")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("measured")


@pytest.fixture(scope="session")
def cpu_profile(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    profile = tmp_path_factory.mktemp("profile") / "mine.toml"
    run("calibrate.measure", "--device", "cpu", "--out", str(raw), "--parts", KERNELS)
    run("calibrate.measured", str(raw), str(profile), "--gpu", "l40s")
    return profile


@pytest.fixture(scope="session")
def cpu_engine(raw: Path, cpu_profile: Path) -> Path:
    engine = cpu_profile.with_name("eager.toml")
    run("calibrate.measure", "--device", "cpu", "--out", str(raw), "--parts", ENGINE)
    run("calibrate.measured_engine", str(raw), str(cpu_profile), str(engine))
    return engine
