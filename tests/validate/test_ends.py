"""However a real run ends, none of its processes and none of their memory is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.torch

ROOT = Path(__file__).parents[2]
PATIENCE_S = 120
EXPERIMENT = """
seeds = 1
functions = "functions.csv"
prices = ["alibaba-fc-2024-08"]
profile = "{profile}"
cluster = {{ nodes = 1, gpus_per_node = 1 }}
[[scenario]]
name = "long"
trace = {{ name = "poisson", rate_per_s = 0.5 }}
lengths = {{ name = "fixed", prompt_tokens = 30, output_tokens = 200 }}
duration_s = 600
[[system]]
name = "lora"
base = "serverless-lora"
"""
FUNCTIONS = """function,backbone,rank,target_modules,slo_ttft_s
f0,tiny-llama,8,q_proj v_proj,2.5
f1,tiny-llama,8,q_proj v_proj,2.5
"""


@pytest.fixture
def running(cpu_profile: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """``simlora validate`` in the middle of its real run, with two processes of functions and one of a backbone."""
    (tmp_path / "functions.csv").write_text(FUNCTIONS)
    (tmp_path / "experiment.toml").write_text(EXPERIMENT.format(profile=cpu_profile))
    command = [sys.executable, "-m", "simlora.cli", "validate", "experiment.toml", "--device", "cpu"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    deadline_s = time.monotonic() + PATIENCE_S
    while len(children(process.pid)) < 3:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline_s, "no processes of functions"
        time.sleep(0.1)
    yield process
    process.kill()
    process.communicate()


def children(pid: int) -> list[int]:
    """Working processes that this one started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state = (folder / "stat").read_text().rpartition(")")[2].split()
            mine = state[1] == str(pid) and "torch_gpu.worker" in (folder / "cmdline").read_text()
        except OSError:
            continue
        if mine:
            found.append(int(folder.name))
    return sorted(found)


def gone(pids: list[int]) -> bool:
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


def torch_memory() -> set[str]:
    return {path.name for path in Path("/dev/shm").glob("torch_*")}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM])
def test_no_process_and_no_memory_is_left(running: subprocess.Popen[str], how: signal.Signals) -> None:
    pids = children(running.pid)
    running.send_signal(how)
    _, errors = running.communicate(timeout=30)
    deadline_s = time.monotonic() + 10
    while not gone(pids) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    assert gone(pids)
    assert not torch_memory()
    if how is signal.SIGINT:
        assert running.returncode == 130
        assert "Traceback" not in errors
