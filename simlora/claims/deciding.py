"""How long policies take to decide, for claims about overheads: measured once a machine, apart from results."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from simlora.arena.timing import FILE, measure_all
from simlora.claims.claim import Claim
from simlora.errors import ConfigError
from simlora.study.grid import Grid, Group
from simlora.study.progress import Progress

DECISION = "decision "
FOLDER = "decisions"


def roles_of(metric: str) -> list[str]:
    """The roles of ``decision ROLE+ROLE``."""
    return metric.removeprefix(DECISION).split("+")


def measure_decisions(claims: Sequence[Claim], grid: Grid, digests: Mapping[Group, str], out: Path) -> None:
    """Time what these claims ask for, each role in a run of its own of the scenario's first seed."""
    asked = [claim for claim in claims if claim.metric.startswith(DECISION)]
    roles = dict.fromkeys(role for claim in asked for role in roles_of(claim.metric))
    places = dict.fromkeys((claim.of, scenario) for claim in asked for scenario in claim.scenarios)
    cells = [cell for cell in grid.cells if (cell.system, cell.scenario) in places]
    with Progress() as progress:
        for role in roles:
            folder = out / FOLDER / role
            folder.mkdir(parents=True, exist_ok=True)
            measure_all(cells, digests, role, folder, progress)


def decision_s(results: Path, metric: str, system: str, scenario: str) -> float:
    """Mean seconds of one answer of each role, added up; :class:`ConfigError` if they have not been measured."""
    total_us = 0.0
    for role in roles_of(metric):
        path = results / FOLDER / role / FILE
        if not path.is_file():
            raise ConfigError(f"{path}: decisions were not timed; simlora claims does it")
        with path.open(newline="", encoding="utf-8") as file:
            mine = [row for row in csv.DictReader(file) if (row["system"], row["scenario"]) == (system, scenario)]
        if not mine:
            raise ConfigError(f"{path}: {system} in {scenario} was not timed")
        total_us += float(mine[0]["mean_us"])
    return total_us / 1e6
