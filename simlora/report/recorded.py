"""What a results folder tells: its runs, and the files beside them as far as they are there."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from simlora.errors import ConfigError, TraceError
from simlora.results.load import Cell, Results, load
from simlora.study.grid import full_name
from simlora.study.looking import check_results
from simlora.study.summary import read_rows
from simlora.study.tables import Row


@dataclass(frozen=True)
class Recorded:
    """The runs of ``folder`` that a report is about, and of which run of each scenario it shows single requests."""

    folder: Path
    results: Results
    cells: tuple[Cell, ...]
    rows: tuple[Row, ...]
    seed: int | None

    @cached_property
    def experiment(self) -> str:
        """``experiment.toml``; empty where there is none, as with imported measurements."""
        return self._text("experiment.toml")

    @cached_property
    def resolved_text(self) -> str:
        """``resolved.toml``; empty where there is none."""
        return self._text("resolved.toml")

    @cached_property
    def resolved(self) -> dict[str, Any]:
        """Every key of the experiment; empty where they are not recorded."""
        return self._toml("resolved.toml", self.resolved_text)

    @cached_property
    def environment(self) -> dict[str, Any]:
        """The software that ran it, and the command; empty where they are not recorded."""
        try:
            found: dict[str, Any] = json.loads(self._text("environment.json") or "{}")
        except ValueError as error:
            raise TraceError(f"{self.folder / 'environment.json'}: not JSON ({error})") from None
        return found

    @property
    def question(self) -> str:
        """What the experiment's first comment says."""
        lines = re.match(r"(?:#.*\n)*", self.experiment)
        return " ".join(line.lstrip("# ").strip() for line in lines[0].splitlines()) if lines else ""

    @property
    def command(self) -> str:
        """How it was run; of folders that do not say, how such a file is."""
        return shlex.join(self.environment.get("command", ["simlora", "run", "experiment.toml"]))

    @property
    def systems(self) -> list[str]:
        """Names of its systems, in the order of the summary."""
        return list(dict.fromkeys(row["system"] for row in self.rows))

    @property
    def scenes(self) -> list[tuple[str, str]]:
        """Its scenarios and sweep points."""
        return list(dict.fromkeys((row["scenario"], row["point"]) for row in self.rows))

    @property
    def variants(self) -> list[str]:
        """Those among its systems that are ablations of others, if there are others."""
        ablations = [one["name"] for one in self._toml("experiment.toml", self.experiment).get("ablation", ())]
        found = [name for name in self.systems if full_name(name) in ablations]
        return found if len(found) < len(self.systems) else []

    def of(self, scenario: str, point: str) -> list[Cell]:
        """Its runs of one scenario and sweep point."""
        return [cell for cell in self.cells if (cell.scenario, cell.point) == (scenario, point)]

    def _toml(self, name: str, text: str) -> dict[str, Any]:
        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise TraceError(f"{self.folder / name}: not a TOML file ({error})") from None

    def _text(self, name: str) -> str:
        path = self.folder / name
        try:
            return path.read_text(encoding="utf-8") if path.is_file() else ""
        except (OSError, ValueError) as error:
            raise TraceError(f"{path}: {error}") from None


def recorded(folder: Path, scenario: str | None, point: str | None, seed: int | None) -> Recorded:
    """What ``folder`` tells of the runs that match; those of all seeds, as intervals need them.

    Raises :class:`ConfigError` for what is no results folder, or where nothing matches.
    """
    check_results(folder)
    results = load(folder)
    results.select(seed=seed)
    cells = tuple(results.select(scenario=scenario, point=point))
    wanted = {(cell.scenario, cell.point) for cell in cells}
    rows = tuple(row for row in read_rows(folder / "summary.csv") if (row["scenario"], row["point"]) in wanted)
    if not rows:
        raise ConfigError(f"{folder}: no finished run of scenario {scenario} at point {point}")
    return Recorded(folder, results, cells, rows, seed)
