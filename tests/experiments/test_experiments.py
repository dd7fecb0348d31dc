"""Everything in experiments/ can be run, and the paper's timeline comes out as its README says."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from simlora.study.experiment import read_study
from simlora.study.grid import build_grid
from simlora.study.regime import regimes, survey

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
FILES = sorted(EXPERIMENTS.glob("*/experiment.toml"))
TELLERS = sorted(path for path in EXPERIMENTS.rglob("*.py") if "fill_in(" in path.read_text() and path.stem != "page")
"""Scripts that tell of a finished run."""
GOLDEN = Path(__file__).with_name("timeline.md")

Script = Callable[[str], ModuleType]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_every_experiment_is_valid_and_has_traffic(path: Path, request: pytest.FixtureRequest) -> None:
    grid = build_grid(read_study(path, []))
    if "azure-functions-2019/" in path.read_text(encoding="utf-8"):
        request.getfixturevalue("data_dir")
    traffic = survey(grid)
    assert len(traffic) == len(grid.workloads)
    assert all(one.requests > 0 for one in traffic)


def test_pressure_is_pressure() -> None:
    grid = build_grid(read_study(EXPERIMENTS / "pressure" / "experiment.toml", []))
    found = {regime.scenario: regime for regime in regimes(grid, survey(grid))}
    three = found["bytes-x3"]
    assert 2.7 < three.unshared_bytes / three.there_bytes < 3.3
    many = [cell for cell in grid.cells if cell.scenario == "64-functions"]
    assert {(len(cell.functions), cell.cluster.gpus) for cell in many} == {(64, 4)}
    assert grid.study.experiment.seeds == 10


@pytest.mark.parametrize(
    "folder", sorted(one for one in EXPERIMENTS.iterdir() if one.is_dir()), ids=lambda one: one.name
)
def test_every_folder_says_how_to_run_it(folder: Path) -> None:
    text = (folder / "README.md").read_text(encoding="utf-8")
    claims = f"simlora claims --only {folder.name.removeprefix('paper-')}\n"
    assert f"experiments/{folder.name}/" in text or claims in text
    assert "minute" in text


def test_timeline_is_as_written_down(timeline_run: Path, script: Script) -> None:
    assert script("timeline/timeline.py").report(timeline_run) == GOLDEN.read_text(encoding="utf-8")


def test_the_readme_of_the_timeline_shows_that_table() -> None:
    readme = (EXPERIMENTS / "timeline" / "README.md").read_text(encoding="utf-8")
    assert GOLDEN.read_text(encoding="utf-8").strip() in readme


def test_tolerance_is_the_larger_of_both(script: Script) -> None:
    timeline = script("timeline/timeline.py")
    assert not timeline.too_far(0.34, 0.2)
    assert timeline.too_far(0.36, 0.2)
    assert not timeline.too_far(3.44, 3.0)
    assert timeline.too_far(3.46, 3.0)


def test_tables_hold_every_system(timeline_run: Path, script: Script) -> None:
    lines = list(script("tables.py").report(timeline_run))
    for system in ("insta-infer", "serverless-llm", "serverless-lora", "no host cache", "kill on use"):
        assert sum(line.startswith(f"| {system} |") for line in lines) >= 2


def test_a_keep_alive_is_held_against_the_curve_at_its_own_memory(script: Script) -> None:
    """Fixed ones hold 10 and 30 GB for 50 and 10 % cold calls: at 20 GB that makes 30 %."""
    rows = [("fixed 9 s", 30.0, 0.1), ("fixed 1 s", 10.0, 0.5), ("mine", 20.0, 0.15)]
    runs = pd.DataFrame([{"system": s, "memory_gb": gb, "cold": cold, "seed": 0} for s, gb, cold in rows])
    own, curve = script("keep-alive/frontier.py").at_equal_memory(runs, "mine")
    assert own.tolist() == [0.15]
    assert curve.tolist() == [pytest.approx(0.3)]


def test_a_request_is_overtaken_by_a_later_one_that_begins_before_it(script: Script) -> None:
    overtaken = script("adapters/cliff.py").overtaken
    assert overtaken(np.array([1.0, 2.0, 2.0, 3.0])) == 0.0
    assert overtaken(np.array([5.0, 1.0, 6.0, 4.0])) == 0.5


def test_the_gap_is_closed_from_the_plain_platform_to_the_bound(script: Script) -> None:
    """From 10 to 2 s a system at 4 goes three quarters of the way, one at 12 a quarter backwards."""
    ttft_s = {"plain-serverless": 10.0, "bound": 2.0, "mine": 4.0, "worse": 12.0}
    rows = [
        {"scenario": "s", "system": name, "seed": seed, "value": s} for name, s in ttft_s.items() for seed in (0, 1)
    ]
    gaps = script("bound/gaps.py")
    runs = pd.DataFrame(rows)
    found = gaps.shares(runs.assign(**dict.fromkeys(gaps.METRICS.values(), runs["value"])))
    assert set(found["row"]) == {"mine", "worse"}
    assert found.groupby("row")["estimate"].unique().to_dict() == {"mine": [75.0], "worse": [-25.0]}


def test_an_ablation_is_each_mechanism_alone_and_in_pairs(script: Script) -> None:
    """Each variant changes as many keys as its name says; ratios are to the whole system."""
    study = read_study(EXPERIMENTS / "ablation" / "experiment.toml", [])
    keys = {one.name: len(one.set) for one in study.experiment.ablation}
    parts = ["NBS", "NPL", "NDO", "NAB"]
    pairs = [" + ".join(pair) for pair in itertools.combinations(parts, 2)]
    assert {name: keys[name] for name in parts + pairs} == dict.fromkeys(parts, 1) | dict.fromkeys(pairs, 2)
    ratios = script("ratios.py")
    values = {"serverless-lora": 2.0, "NBS": 5.0}
    runs = pd.DataFrame([{"scenario": "s", "system": s, "seed": k, "v": v} for s, v in values.items() for k in (0, 1)])
    found = ratios.ratios(runs.assign(**dict.fromkeys(ratios.METRICS.values(), runs["v"])))
    assert set(found["row"]) == {"NBS"}
    assert found["estimate"].tolist() == [2.5] * len(ratios.METRICS)


def test_a_table_across_numbers_has_each_systems_mean_at_each(script: Script) -> None:
    rows = [("a", n, seed, 10.0 * n + seed) for n in (1000, 5) for seed in (0, 2)]
    rows += [("b", n, seed, 7.0) for n in (1000, 5) for seed in (0, 2)]
    runs = pd.DataFrame(rows, columns=["system", "n", "seed", "value"])
    head, _, first, second, _ = script("tables.py").across(runs, "n", "value", ".0f", "what")
    assert head == "| what | 5 | 1,000 |"
    assert first == "| a | 51 (50 to 52) | 10,001 (10,000 to 10,002) |"
    assert second == "| b | 7 (7 to 7) | 7 (7 to 7) |"


@pytest.mark.parametrize("path", TELLERS, ids=lambda path: path.stem)
def test_a_folder_without_results_is_told_in_one_line(path: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(path), str(tmp_path / "none")]
    environment = {**os.environ, "PYTHONPATH": str(EXPERIMENTS.parent)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    assert "no results folder" in done.stderr
    assert "Traceback" not in done.stderr
