"""The README is true: its Python prints what it shows, its commands run, its policy is what `simlora init` writes."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
BLOCKS = [(match[1], match[2]) for match in BLOCK.finditer((ROOT / "README.md").read_text(encoding="utf-8"))]


def _shown_outputs() -> list[tuple[str, str]]:
    """Python blocks that a text block follows, with that text."""
    return [
        (code, text) for (kind, code), (following, text) in pairwise(BLOCKS) if (kind, following) == ("python", "text")
    ]


def _commands() -> list[str]:
    lines = [line for kind, text in BLOCKS if kind == "console" for line in text.splitlines()]
    return [line[2:] for line in lines if line.startswith("$ ")]


def test_python_prints_what_is_shown() -> None:
    assert _shown_outputs()
    for code, shown in _shown_outputs():
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert ran.stdout == shown, ran.stderr


def test_commands_run_in_order(tmp_path: Path) -> None:
    commands = [shlex.split(line) for line in _commands() if line.startswith("simlora ")]
    assert commands
    for _, *arguments in commands:
        command = [sys.executable, "-m", "simlora.cli", *arguments]
        ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, f"{arguments}: {ran.stderr}"
    tested = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "study"]
    ran = subprocess.run(tested, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in (line.removeprefix("make ") for line in _commands() if line.startswith("make ")):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_worked_policy_is_what_init_writes() -> None:
    written = (ROOT / "simlora" / "templates" / "files" / "my_policies.py.txt").read_text(encoding="utf-8")
    assert ("python", written) in BLOCKS


def test_nothing_is_left_to_fill_in() -> None:
    pages = [ROOT / "README.md", ROOT / "DESIGN.md", *ROOT.glob("experiments/*/README.md"), ROOT / "traces/README.md"]
    assert [page.name for page in pages if "@@" in page.read_text(encoding="utf-8")] == []


def test_what_design_points_to_exists() -> None:
    text = (ROOT / "DESIGN.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:tests|experiments)/[\w/.-]+)`", text)
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("path", re.findall(r"\]\((?!http)([^)#]+)\)", (ROOT / "README.md").read_text("utf-8")))
def test_links_lead_somewhere(path: str) -> None:
    assert (ROOT / path).exists()
