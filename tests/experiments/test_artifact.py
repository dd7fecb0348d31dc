"""ARTIFACT.md says what the claims' files say, and its commands are there."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "ARTIFACT.md").read_text(encoding="utf-8")


def test_claims_are_as_they_were_last_recorded(script: Callable[[str], ModuleType]) -> None:
    """``python experiments/artifact.py`` puts them there."""
    rows = list(script("artifact.py").table())
    assert len(rows) > 15
    assert "\n".join(rows) in TEXT


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
