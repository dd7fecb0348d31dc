"""Runs in processes of their own: one that dies, one that never ends, one whose line is asked for."""

from __future__ import annotations

import time

import pytest

from simlora.study import watch
from simlora.study.experiment import read_study
from simlora.study.grid import build_grid
from simlora.study.run import run_experiment
from simlora.study.summary import read_rows
from simlora.study.worker import of_a_run

CAUSES = ("frozenset(), init", "frozenset({CauseKind.STARTED, CauseKind.ARRIVED}), init")
IMPORTS = ("import study_helper", "import os\n\nimport study_helper\nfrom simlora.events import CauseKind")


@pytest.fixture(autouse=True)
def _no_figures(monkeypatch):
    monkeypatch.setattr("simlora.study.run.write_figures", lambda *_: None)


@pytest.fixture
def ill(folder):
    """The folder with a policy whose ``plan`` does what the test says."""

    def make(statement):
        folder.edit("study_policies.py", *CAUSES)
        folder.edit("study_policies.py", *IMPORTS)
        folder.edit("study_policies.py", "        return Plan()", f"        {statement}\n        return Plan()")
        return folder

    return make


def run(folder, jobs, **options):
    return run_experiment(folder.file, folder.path / "out", jobs=jobs, **options)


def failed(ran):
    return {(outcome.cell.system, outcome.cell.seed): outcome.error for outcome in ran.failed}


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_worker_that_dies_fails_its_own_run_and_no_other(ill, jobs):
    ran = run(ill("os._exit(3)"), jobs, sets=["seeds=1"])
    said = "the process that ran it with study_policies:Mine ended on the way (exit code 3)"
    assert failed(ran) == {("mine", 0): said, ("no sharing", 0): said}
    assert {(row["system"], row["seed"]) for row in read_rows(ran.out / "summary.csv")} >= {
        ("serverless-lora", 0),
        ("vllm", 0),
    }
    assert not (ran.out / ".partial").exists()


def test_a_single_run_has_a_process_of_its_own_too(ill):
    folder = ill("os._exit(3) if self.depth == 3 else None")
    assert run(folder, jobs=2, sets=["seeds=1"]).failed == ()
    ran = run(folder, jobs=2, sets=["seeds=1", "system.mine.preloading.depth=3", "system.no sharing.sharing=none"])
    assert ("mine", 0) in failed(ran)


@pytest.mark.parametrize("jobs", [0, 2])
def test_a_run_may_take_so_many_seconds(ill, jobs):
    ran = run(ill("while True: pass"), jobs=jobs, sets=["seeds=1", "cell_timeout_s=10.0"])
    assert {system for system, _ in failed(ran)} == {"mine", "no sharing"}
    for error in failed(ran).values():
        assert (
            error == "study_policies.py:16: OutOfTime: not finished after cell_timeout_s = 10 (in 'while True: pass')"
        )


def test_one_job_is_one_run_at_a_time(ill):
    folder = ill("open('alone', 'x').close(); sleep(0.02); os.remove('alone')")
    folder.edit("study_policies.py", "import os\n", "import os\nfrom time import sleep\n")
    folder.edit("study_policies.py", "'alone'", f"{str(folder.path / 'alone')!r}")
    assert run(folder, jobs=1).failed == ()


def test_the_limit_is_no_part_of_what_a_run_depends_on(folder, engine):
    run(folder, jobs=0)
    engine.calls.clear()
    run(folder, jobs=0, sets=["cell_timeout_s=1000"])
    assert engine.calls == []


COUNTS = """

@dataclass
class Counts:
    def observe_arrival(self, function, at_s):
        self.total += 1

    def rate_per_s(self, function, now_s):
        return 0.0
"""


@pytest.mark.parametrize("policy", ["preloading", "forecast"])
def test_an_error_is_at_the_users_own_line_in_a_simpy_process_or_not(ill, policy):
    folder = ill("self.total += 1" if policy == "preloading" else "")
    (folder.path / "study_policies.py").open("a").write(COUNTS)
    folder.edit("experiment.toml", "depth = 2 }", 'depth = 2 }\nforecast = "study_policies:Counts"')
    line = 16 if policy == "preloading" else 23
    error = failed(run(folder, jobs=0, sets=["seeds=1"]))["mine", 0]
    assert error.startswith(f"study_policies.py:{line}: AttributeError: ")
    assert error.endswith("(in 'self.total += 1')")


def test_how_far_runs_under_way_are_is_noted_beside_the_results(folder, monkeypatch):
    monkeypatch.setattr(watch, "LOOK_S", 0.01)
    cell, out = build_grid(read_study(folder.file)).cells[0], folder.path / "out"
    assert watch.shares_done(out) == 0.0
    with watch.watched(cell, out) as done:
        say = of_a_run(cell, done)
        say(cell.settings["workload"]["duration_s"] / 4)
        while watch.shares_done(out) != 0.25:
            time.sleep(0.01)
        say(1e9)
        while watch.shares_done(out) != 1.0:
            time.sleep(0.01)
        assert [*watch.take_notes(out)] == [cell.folder]
    assert watch.shares_done(out) == 0.0
