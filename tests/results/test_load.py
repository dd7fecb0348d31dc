"""A results folder is read back whole, or it says what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from simlora.errors import ConfigError, SimloraError, TraceError
from simlora.results.load import load

Build = Callable[..., pa.Table]


@pytest.fixture
def folder(tmp_path: Path, requests_of: Build, usage_of: Build, events_of: Build) -> Path:
    """Two systems, one scenario, two seeds; one run was broken off."""
    lines = ["system,scenario,point,seed,requests"]
    for system in ("ours", "vllm"):
        for seed in (0, 1):
            cell = tmp_path / "study" / "cells" / system / "bursty" / "default" / str(seed)
            cell.mkdir(parents=True)
            pq.write_table(requests_of({"arrived_s": float(seed)}, {"function": "g"}), cell / "requests.parquet")
            pq.write_table(usage_of({}), cell / "usage.parquet")
            pq.write_table(events_of({"stage": "library"}), cell / "events.parquet")
            (cell / "facts.json").write_text(json.dumps({"seed": seed, "gpu_models": ["l40s"]}))
            if (system, seed) != ("vllm", 1):
                (cell / "done").touch()
                lines.append(f"{system},bursty,,{seed},2")
    (tmp_path / "study" / "summary.csv").write_text("\n".join(lines))
    return tmp_path / "study"


def test_what_was_finished_is_read_back(folder: Path) -> None:
    results = load(folder)
    assert results.systems == ["ours", "vllm"]
    assert [(cell.system, cell.seed) for cell in results.cells] == [("ours", 0), ("ours", 1), ("vllm", 0)]
    assert results.cells[1].facts == {"seed": 1, "gpu_models": ["l40s"]}
    assert results.summary.groupby("system")["requests"].sum().to_dict() == {"ours": 4, "vllm": 2}
    assert list(results.summary["point"]) == ["", "", ""]


def test_runs_are_picked_by_name(folder: Path) -> None:
    results = load(folder)
    assert len(results.requests()) == 6
    ours = results.requests(system="ours", seed=1)
    assert list(ours.columns[:5]) == ["system", "scenario", "point", "seed", "request"]
    assert list(ours["arrived_s"]) == [1.0, 0.0]
    assert list(ours["function"]) == ["f", "g"]
    assert results.events(system="vllm", scenario="bursty", point="default")["stage"].tolist() == ["library"]
    assert len(results.usage(seed=0)) == 2


def test_names_that_do_not_occur_are_answered_with_the_nearest(folder: Path) -> None:
    results = load(folder)
    with pytest.raises(ConfigError, match='no system named "our"; did you mean "ours"'):
        results.requests(system="our")
    with pytest.raises(ConfigError, match='no key of a run named "sytem"; did you mean "system"'):
        results.requests(sytem="ours")
    with pytest.raises(ConfigError, match="no finished run matches"):
        results.requests(system="vllm", seed=1)


def test_a_folder_that_holds_no_results_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match='no results folder named "stud"; did you mean "study"'):
        load(folder.parent / "stud")
    with pytest.raises(ConfigError, match=r"not a results folder.*there are results in: study"):
        load(folder.parent)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (
            lambda f: cut(next(f.glob("cells/ours/*/*/0/requests.parquet"))),
            "requests.parquet: cut off or not a Parquet",
        ),
        (
            lambda f: next(f.glob("cells/ours/*/*/0/requests.parquet")).unlink(),
            "requests.parquet: no such file, though",
        ),
        (lambda f: next(f.glob("cells/ours/*/*/0/facts.json")).write_text("{"), "facts.json: Expecting property name"),
        (lambda f: next(f.glob("cells/ours/*/*/0/facts.json")).write_text("{}"), "facts.json: does not say which GPUs"),
        (lambda f: (f / "summary.csv").unlink(), "summary.csv: no such file; simlora run finishes"),
        (lambda f: (f / "summary.csv").write_text(""), "summary.csv: not a CSV table"),
        (lambda f: (f / "summary.csv").write_text("sytem\n1"), 'summary.csv: no column "system"'),
    ],
)
def test_a_damaged_file_is_named(folder: Path, damage: Callable[[Path], object], says: str) -> None:
    damage(folder)
    results = load(folder)
    with pytest.raises(TraceError, match=says):
        results.requests(), results.cells[0].facts, results.summary


def test_a_run_whose_folder_is_no_seed_is_refused(folder: Path) -> None:
    (folder / "cells" / "ours" / "bursty" / "default" / "0").rename(folder / "cells/ours/bursty/default/first")
    with pytest.raises(SimloraError, match=r"named by its seed, a number .found 'first'"):
        load(folder)


def test_swept_keys_are_columns_of_the_summary(folder: Path) -> None:
    points = ["a.b=1,trace=x", "a.b=2.5,trace=y,z", "a.b=10,trace=x"]
    lines = [f'ours,bursty,"{point}",0,2' for point in points]
    (folder / "summary.csv").write_text("\n".join(["system,scenario,point,seed,requests", *lines]))
    summary = load(folder).summary
    assert summary["a.b"].tolist() == [1.0, 2.5, 10.0]
    assert summary["trace"].tolist() == ["x", "y,z", "x"]


def test_phases_of_runs_with_different_stages_line_up(folder: Path, requests_of: Build, events_of: Build) -> None:
    cell = next(folder.glob("cells/ours/*/*/0"))
    times = {"bound_s": 1.0, "ready_s": 3.0, "started_s": 3.0, "first_token_s": 4.0, "finished_s": 6.0, "instance": 0}
    pq.write_table(requests_of(times), cell / "requests.parquet")
    pq.write_table(events_of({"stage": "graphs", "at_s": 3.0, "seconds": 1.0}), cell / "events.parquet")
    phases = load(folder).breakdown()
    assert list(phases.columns) == [
        "system", "scenario", "point", "seed", "queue", "start-up: graphs", "start-up: library", "start-up: waiting",
        "instance wait", "prefill", "decode",
    ]  # fmt: skip
    assert phases.iloc[0, 4:].tolist() == [1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 2.0]
