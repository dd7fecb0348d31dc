"""Running a grid: what is finished stays, what fails stops nothing else, what changed runs again."""

from __future__ import annotations

import errno
import json

import pandas as pd
import pytest

from simlora.errors import ConfigError, PolicyError
from simlora.results.prices import load_price
from simlora.results.recorder import RunRecord
from simlora.study.run import run_experiment
from simlora.study.store import Store, one_message
from simlora.study.summary import read_rows


def run(folder, **options):
    return run_experiment(folder.file, folder.path / "out", jobs=0, **options)


@pytest.fixture(autouse=True)
def _no_figures(monkeypatch):
    monkeypatch.setattr("simlora.study.run.write_figures", lambda *_: None)


def done(folder, below="cells"):
    return {
        str(path.parent.relative_to(folder.path / "out" / below))
        for path in (folder.path / "out").glob(f"{below}/**/done")
    }


def test_the_results_folder(folder, engine):
    ran = run(folder)
    assert ran.failed == ()
    names = {path.name for path in ran.out.iterdir()}
    assert {"experiment.toml", "resolved.toml", "environment.json", "summary.csv", "summary_by_function.csv"} <= names
    assert {path.name for path in (ran.out / "cells/mine/calm/base/0").iterdir()} == {
        "requests.parquet",
        "usage.parquet",
        "events.parquet",
        "facts.json",
        "done",
    }
    rows = read_rows(ran.out / "summary.csv")
    assert {(row["system"], row["seed"]) for row in rows} >= {("mine", 0), ("mine", 1), ("vllm", 0)}
    assert [row["ttft_mean_s"] for row in rows] == [pytest.approx(1.0)] * len(rows)
    assert json.loads((ran.out / "cells/mine/calm/base/0/facts.json").read_text())["duration_s"] == 600


def test_all_systems_of_a_seed_see_the_same_workload(folder, engine):
    run(folder)
    for seed in (0, 1):
        assert len({id(workload) for of, workload in engine.workloads if of == seed}) <= 2
        arrivals = {workload.arrived_s.tobytes() for of, workload in engine.workloads if of == seed}
        assert len(arrivals) == 1


def test_all_systems_are_billed_until_the_last_has_finished(folder, engine):
    engine.ttft_s["mine"] = 1000.0
    run(folder, sets=["seeds=1"])
    [workload] = {id(workload): workload for _, workload in engine.workloads}.values()
    window_s = workload.arrived_s[-1] + 1001.0
    usd_per_s = load_price("ec2-on-demand-2026").gpu("l40s").active_usd_per_s
    [vllm] = [row for row in read_rows(folder.path / "out" / "summary.csv") if row["system"] == "vllm"]
    assert vllm["cost_usd"] == pytest.approx(4 * usd_per_s * window_s, rel=1e-3)


def test_what_is_finished_is_not_run_again(folder, engine):
    run(folder)
    engine.calls.clear()
    before = (folder.path / "out" / "summary.csv").read_bytes()
    run(folder)
    assert engine.calls == []
    assert (folder.path / "out" / "summary.csv").read_bytes() == before
    run(folder, fresh=True)
    assert len(engine.calls) >= 8


def test_a_changed_policy_runs_exactly_its_cells(folder, engine):
    run(folder)
    engine.calls.clear()
    folder.edit("study_helper.py", "42", "43")
    run(folder)
    assert engine.calls == [("mine", 0), ("no sharing", 0), ("mine", 1), ("no sharing", 1)]


def test_another_seed_runs_alone_and_an_unwanted_one_is_kept_spare(folder, engine):
    run(folder)
    engine.calls.clear()
    run(folder, sets=["seeds=1,2"])
    assert {seed for _, seed in engine.calls} == {2}
    assert {row["seed"] for row in read_rows(folder.path / "out" / "summary.csv")} == {1, 2}
    assert "mine/calm/base/0" in done(folder, "spare")
    engine.calls.clear()
    run(folder)
    assert engine.calls == []


def test_one_failure_stops_no_other(folder, engine):
    engine.fails["mine"] = PolicyError("mine: a bad answer")
    ran = run(folder)
    assert [(o.cell.system, o.cell.seed, o.error) for o in ran.failed] == [
        ("mine", 0, "mine: a bad answer"),
        ("mine", 1, "mine: a bad answer"),
    ]
    assert {row["system"] for row in read_rows(ran.out / "summary.csv")} >= {"serverless-lora", "no sharing", "vllm"}
    engine.fails.clear()
    engine.calls.clear()
    run(folder)
    assert engine.calls == [("mine", 0), ("mine", 1)]


def test_a_bug_in_a_policy_is_reported_with_its_line(folder, monkeypatch):
    folder.edit("study_policies.py", "        return Plan()", "        return Plan([][1])")
    folder.edit("study_policies.py", "frozenset(), init", "frozenset({CauseKind.STARTED, CauseKind.ARRIVED}), init")
    folder.edit("study_policies.py", "import study_helper", "import study_helper\nfrom simlora.events import CauseKind")
    ran = run(folder, sets=["seeds=1"])
    assert {o.cell.system for o in ran.failed} == {"mine", "no sharing"}
    assert ran.failed[0].error.startswith("study_policies.py:14: IndexError: ")


def test_ctrl_c_keeps_what_is_finished(folder, engine):
    engine.fails["mine"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        run(folder)
    assert done(folder) == {"serverless-lora/calm/base/0", "vllm/calm/base/0"}
    engine.fails.clear()
    engine.calls.clear()
    run(folder)
    assert ("vllm", 0) not in engine.calls
    assert not (folder.path / "out" / ".partial").exists()


def test_a_full_disk_is_one_message(folder, engine, monkeypatch):
    whole = RunRecord.write

    def write(self, where):
        if self.facts["system"] == "vllm":
            raise OSError(errno.ENOSPC, "No space left on device", str(where))
        whole(self, where)

    monkeypatch.setattr(RunRecord, "write", write)
    with pytest.raises(ConfigError, match="the disk is full; what was finished before stays readable"):
        run(folder)
    assert done(folder) == {"serverless-lora/calm/base/0"}


def test_a_disk_that_fills_while_a_figure_is_drawn_is_one_message(tmp_path):
    from simlora.plotting.style import Picture, canvas

    (tmp_path / "x.pdf").symlink_to("/dev/full")
    figure, _ = canvas("column", 1.0)
    with pytest.raises(ConfigError, match="the disk is full"), one_message(tmp_path):
        Picture(figure, pd.DataFrame()).save(tmp_path / "x")


def test_an_unwritable_folder_is_one_message(folder, engine):
    (folder.path / "out").write_text("a file where the folder should be")
    with pytest.raises(ConfigError, match="out"):
        run(folder)
    with pytest.raises(ConfigError, match="what was finished"), one_message(folder.path):
        raise PermissionError(errno.EACCES, "Permission denied", "x")


def test_a_place_without_room_for_a_folder_is_told_before_anything_runs(folder, engine, capsys):
    (folder.path / "a-file").write_text("")
    with pytest.raises(ConfigError, match=r"results need a folder, and .*a-file is a file"):
        run_experiment(folder.file, folder.path / "a-file" / "below", jobs=0)
    assert (engine.calls, capsys.readouterr().out) == ([], "")


def test_a_dry_run_says_what_is_finished(folder, engine, capsys):
    engine.fails["vllm"] = PolicyError("no")
    run(folder)
    capsys.readouterr()
    engine.fails.clear()
    run(folder, dry_run=True)
    assert "8 runs, 6 of them finished; to run: 2 with " in capsys.readouterr().out
    run(folder)
    capsys.readouterr()
    run(folder, dry_run=True)
    assert "8 runs, all of them finished" in capsys.readouterr().out
    run(folder, dry_run=True, fresh=True)
    assert "8 runs, 0 of them finished" in capsys.readouterr().out


def test_a_policy_that_exits_is_a_failed_run(folder, engine):
    engine.fails["mine"] = SystemExit(0)
    assert {(o.cell.system, "SystemExit: 0" in o.error) for o in run(folder).failed} == {("mine", True)}


def test_a_dry_run_writes_nothing(folder, engine, capsys):
    run(folder, dry_run=True)
    assert not (folder.path / "out").exists()
    text = " ".join(capsys.readouterr().out.split())  # as wide as the terminal
    assert "8 runs" in text
    assert "under a minute with 1 process" in text


def test_a_half_written_run_does_not_count(folder, engine):
    run(folder)
    (folder.path / "out/cells/mine/calm/base/0/done").unlink()
    engine.calls.clear()
    run(folder)
    assert engine.calls == [("mine", 0)]


@pytest.mark.parametrize(("enough", "found"), [(1, 1), (2, 2), (3, 3), (4, 4)])
def test_the_fewest_gpus_that_match_the_best_serverless_system(folder, engine, enough, found):
    def ttft_s(system):
        if system.billing == "serverless":
            return {"mine": 1.0}.get(system.name, 9.0)
        return 1.0 if (system.limits.gpus or 4) >= enough else 9.0

    engine.rule = ttft_s
    run(folder)
    name = f"vllm ({found} GPU{'s' if found > 1 else ''})"
    rows = [row for row in read_rows(folder.path / "out" / "summary.csv") if row["system"].startswith("vllm")]
    assert {row["system"] for row in rows} == {"vllm", name}
    assert {row["gpus_max"] for row in rows if row["system"] == name} == {found}
    cost = {row["system"]: row["cost_usd"] for row in rows if row["seed"] == 0}
    assert cost[name] == pytest.approx(cost["vllm"] * found / 4)
    assert all("vllm (" not in cell or name in cell for cell in done(folder))


def test_no_number_of_gpus_may_be_enough(folder, engine, capsys):
    engine.ttft_s["vllm"] = 9.0
    run(folder)
    assert {row["system"] for row in read_rows(folder.path / "out" / "summary.csv")} & {"vllm", "vllm (4 GPUs)"} == {
        "vllm"
    }
    assert "even with all GPUs" in capsys.readouterr().err


def test_the_search_can_be_left_out(folder, engine):
    folder.edit("experiment.toml", 'use = "vllm"', 'use = "vllm"\nfewest = false')
    run(folder)
    assert {name for name, _ in engine.calls} == {"serverless-lora", "vllm", "mine", "no sharing"}


def test_runs_in_other_processes_give_the_same_bytes(folder):
    here = run_experiment(folder.file, folder.path / "here", jobs=0, sets=["seeds=1"])
    there = run_experiment(folder.file, folder.path / "there", jobs=2, sets=["seeds=1"])
    for path in sorted(here.out.rglob("*")):
        if path.is_file():
            assert (there.out / path.relative_to(here.out)).read_bytes() == path.read_bytes()


def test_spare_runs_come_back(folder, engine):
    run(folder)
    store = Store(folder.path / "out")
    store.keep_only([])
    assert done(folder) == set()
    engine.calls.clear()
    run(folder)
    assert engine.calls == []
