"""ARTIFACT.md says what the claims' files say, and its commands are there."""

from __future__ import annotations

import csv
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "ARTIFACT.md").read_text(encoding="utf-8")
CLAIM = re.compile(r"^\| (.+?) \| (\w+) \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)
CLAIMS = [row for row in CLAIM.findall(TEXT) if row[1] != "experiment"]


def recorded(claim: str, experiment: str) -> dict[str, str]:
    with (ROOT / "experiments" / f"paper-{experiment}" / "expected.csv").open(newline="", encoding="utf-8") as file:
        return next(row for row in csv.DictReader(file) if (row["claim"], row["view"]) == (claim, "as configured"))


def figure(value: str) -> float:
    found = re.search(r"[\d,.]+", value)
    assert found is not None, value
    return float(found[0].replace(",", ""))


@pytest.mark.parametrize("row", CLAIMS, ids=lambda row: f"{row[1]}: {row[0]}")
def test_a_claim_is_as_it_was_last_recorded(row: tuple[str, ...]) -> None:
    claim, experiment, paper, ours, verdict = row
    found = recorded(claim, experiment)
    assert verdict == found["verdict"]
    if experiment == "overheads":  # times of a machine
        assert float(found["ours"]) < figure(ours)
    else:
        assert figure(ours) == pytest.approx(float(found["ours"]), rel=0.005)
    assert (paper == "no figure") == (found["paper"] == "")
    if found["paper"]:
        assert figure(paper) == pytest.approx(float(found["paper"]), rel=0.005)


def test_every_experiment_of_the_paper_has_a_row() -> None:
    folders = {path.parent.name.removeprefix("paper-") for path in ROOT.glob("experiments/paper-*/expected.csv")}
    told = {experiment for _, experiment, *_ in CLAIMS}
    assert told <= folders
    assert len(CLAIMS) >= 15
    assert {"comparison", "slo", "throughput", "ablation", "scaling", "breakdown", "overheads"} <= told


def test_one_command_does_the_steps_of_the_page() -> None:
    shown = subprocess.run(["make", "-n", "artifact"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    steps = (
        "doctor",
        "experiments/quickstart/experiment.toml",
        "claims --only",
        "report results/quickstart",
        "nvidia-smi",
    )
    assert [shown.find(step) for step in steps] == sorted(shown.find(step) for step in steps)
    assert all(step in shown for step in steps)
    named = re.findall(r"--only (\w+)", shown)
    assert {f"paper-{name}" for name in named} <= {path.name for path in ROOT.glob("experiments/paper-*")}
    assert "ablation" not in named


@pytest.mark.parametrize("path", re.findall(r"`((?:experiments|simlora|notebooks|traces)/[\w./*-]*)`", TEXT))
def test_what_the_page_points_to_exists(path: str) -> None:
    assert any(ROOT.glob(path))
