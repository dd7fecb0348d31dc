"""How a run ends from outside: Ctrl-C at any moment, and the death of the process that began the workers."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENDLESS = """\
from dataclasses import dataclass, field

from simlora.events import CauseKind


@dataclass
class Endless:
    causes: frozenset = field(default=frozenset({CauseKind.ARRIVED}), init=False)

    def plan(self, causes, view):
        while True:
            pass
"""
PATIENCE_S = 120


@pytest.fixture
def start(tmp_path):
    """Start ``simlora run`` on the folder that ``init`` writes, in a process group of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    verbs = [sys.executable, "-m", "simlora.cli"]
    subprocess.run([*verbs, "init", "demo"], cwd=tmp_path, env=environment, check=True, capture_output=True)
    started = []

    def run(*options):
        command = [*verbs, "run", "experiment.toml", "--out", str(tmp_path / "out"), *options]
        started.append(
            subprocess.Popen(
                command, cwd=tmp_path / "demo", env=environment, start_new_session=True, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )
        )  # fmt: skip
        return started[-1]

    yield run
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def wait_for(folder, pattern, text=""):
    deadline_s = time.monotonic() + PATIENCE_S
    while not any(text in path.read_text() for path in folder.glob(pattern)):
        assert time.monotonic() < deadline_s, f"no {pattern} with {text!r}"
        time.sleep(0.05)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_keeps_what_finished(start, tmp_path, jobs):
    process = start("--jobs", jobs, "--set", "seeds=40")
    wait_for(tmp_path / "out", "cells/*/*/*/*/done")
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert "interrupted" in errors
    kept = list((tmp_path / "out").glob("cells/*/*/*/*/done"))
    assert 0 < len(kept) < 200
    assert all((done.parent / "facts.json").exists() for done in kept)


@pytest.mark.parametrize("after_s", [0.4, 0.9])
def test_ctrl_c_while_workers_come_up_is_one_message(start, after_s):
    process = start("--jobs", "2", "--set", "seeds=40")
    assert "Regime" in process.stdout.readline()
    time.sleep(after_s)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert "Traceback" not in errors
    assert "interrupted" in errors


@pytest.fixture
def endless(tmp_path, start):
    """A run whose first system never gets beyond its first arrival."""
    (tmp_path / "demo" / "endless.py").write_text(ENDLESS)
    experiment = tmp_path / "demo" / "experiment.toml"
    text = experiment.read_text()
    first = '[[system]]\nname = "stuck"\nbase = "serverless-lora"\npreloading = "endless:Endless"\n\n'
    experiment.write_text(text.replace("[[system]]", f"{first}[[system]]", 1))

    def run(jobs):
        process = start("--jobs", jobs, "--set", "seeds=2", "--set", "scenario.duration_s=600")
        wait_for(tmp_path / "out", ".partial/running/*", "endless.py:")
        return process

    return run


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_says_where_a_policy_was(endless, jobs):
    process = endless(jobs)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert "it was at " in errors
    assert "stuck/bursty/base/0 (at endless.py:1" in errors
    assert ", in plan)" in errors


def test_workers_end_with_the_process_that_began_them(endless):
    process = endless("2")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=PATIENCE_S)  # its pipes are open as long as any of its workers lives
