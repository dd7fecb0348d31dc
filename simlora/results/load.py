"""A results folder, read back as data frames."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from simlora.errors import ConfigError, TraceError, unknown_name
from simlora.results.breakdown import breakdown, in_order
from simlora.results.summary import KEYS


@dataclass(frozen=True)
class Cell:
    """One finished run of a results folder."""

    system: str
    scenario: str
    point: str
    seed: int
    folder: Path

    def table(self, name: str) -> pa.Table:
        """Its ``requests``, ``usage`` or ``events``; :class:`TraceError` if the file is missing or cut off."""
        path = self.folder / f"{name}.parquet"
        try:
            return pq.read_table(path)
        except FileNotFoundError:
            raise TraceError(f"{path}: no such file, though the run is marked as done") from None
        except (pa.ArrowException, OSError) as error:
            raise TraceError(f"{path}: cut off or not a Parquet file ({str(error).splitlines()[0]})") from None

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What else is known of the run; :class:`TraceError` if the file can't be read."""
        path = self.folder / "facts.json"
        try:
            facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise TraceError(f"{path}: {error}") from None
        if "gpu_models" not in facts:
            raise TraceError(f"{path}: does not say which GPUs there were, as results of today do; run it again")
        return facts


@dataclass(frozen=True)
class Results:
    """A results folder. ``cells`` are its finished runs; those that were broken off are left out."""

    folder: Path
    cells: tuple[Cell, ...]

    @property
    def systems(self) -> list[str]:
        """Names of all systems, sorted; give them to the figures, so that each keeps its colour in all of them."""
        return sorted({cell.system for cell in self.cells})

    @cached_property
    def summary(self) -> pd.DataFrame:
        """``summary.csv``: one row per system, scenario, sweep point and seed; each swept key is a column too."""
        path = self.folder / "summary.csv"
        try:
            frame = pd.read_csv(path, dtype={"system": str, "scenario": str, "point": str})
        except FileNotFoundError:
            raise TraceError(f"{path}: no such file; simlora run finishes what was broken off, and writes it") from None
        except (ValueError, OSError) as error:
            raise TraceError(f"{path}: not a CSV table ({str(error).splitlines()[0]})") from None
        for column in KEYS:
            if column not in frame:
                raise TraceError(f'{path}: no column "{column}" (found {", ".join(frame.columns)})')
        points = frame["point"].fillna("")
        return frame.assign(point=points, **_swept(points))

    def requests(self, **which: Any) -> pd.DataFrame:
        """Requests of all runs that match, with the columns ``system, scenario, point, seed`` before their own.

        ``which``: any of ``system=``, ``scenario=``, ``point=``, ``seed=``. Raises :class:`ConfigError` for a name
        that does not occur, :class:`TraceError` for a file that can't be read.
        """
        return self._frame("requests", which)

    def usage(self, **which: Any) -> pd.DataFrame:
        """Who held which GPU memory when, of all runs that match; see :meth:`requests`."""
        return self._frame("usage", which)

    def events(self, **which: Any) -> pd.DataFrame:
        """What happened, of all runs that match; see :meth:`requests`."""
        return self._frame("events", which)

    def breakdown(self, **which: Any) -> pd.DataFrame:
        """Mean seconds per phase of a request (:func:`simlora.results.breakdown.breakdown`), one row per run."""
        cells = self.select(**which)
        rows = [breakdown(cell.table("requests"), cell.table("events")) for cell in cells]
        phases = in_order(name for row in rows for name in row)
        keys = [{key: getattr(cell, key) for key in KEYS} for cell in cells]
        return pd.DataFrame(
            [{**key, **{name: row.get(name, 0.0) for name in phases}} for key, row in zip(keys, rows, strict=True)]
        )

    def select(self, **which: Any) -> list[Cell]:
        """The finished runs that match; see :meth:`requests`."""
        cells = list(self.cells)
        for key, value in which.items():
            if key not in Cell.__dataclass_fields__ or key == "folder":
                raise unknown_name("key of a run", key, KEYS)
            if value is None:
                continue
            there = {str(getattr(cell, key)) for cell in self.cells}
            if str(value) not in there:
                raise unknown_name(key, str(value), there, str(self.folder))
            cells = [cell for cell in cells if str(getattr(cell, key)) == str(value)]
        return cells

    def _frame(self, name: str, which: dict[str, Any]) -> pd.DataFrame:
        frames = []
        for cell in self.select(**which):
            frame: pd.DataFrame = cell.table(name).to_pandas()
            for at, key in enumerate(KEYS):
                frame.insert(at, key, getattr(cell, key))
            frames.append(frame)
        if not frames:
            raise ConfigError(f"{self.folder}: no finished run matches {which}")
        return pd.concat(frames, ignore_index=True)


def load(folder: str | Path) -> Results:
    """The results folder of an experiment, of a validation run or of imported measurements.

    Raises :class:`ConfigError` if the folder does not exist, or holds no finished run.
    """
    path = Path(folder)
    if not path.is_dir():
        near = sorted(one.name for one in path.parent.iterdir() if one.is_dir()) if path.parent.is_dir() else []
        raise unknown_name("results folder", path.name, near, str(path.parent))
    cells = tuple(_cell(done.parent) for done in sorted((path / "cells").glob("*/*/*/*/done")))
    if not cells:
        inner = sorted(one.parent.name for one in path.glob("*/cells"))
        hint = f"; there are results in: {', '.join(inner)}" if inner else ""
        raise ConfigError(f"{path}: not a results folder: no finished run under cells/SYSTEM/SCENARIO/POINT/SEED{hint}")
    return Results(path, cells)


def _swept(points: pd.Series[str]) -> dict[str, pd.Series[Any]]:
    """A column per swept key: a point is named ``key=value,key=value``."""
    keys = {part.partition("=")[0] for point in points.unique() for part in point.split(",") if "=" in part}
    columns: dict[str, pd.Series[Any]] = {}
    for key in sorted(keys):
        values = points.str.extract(f"(?:^|,){re.escape(key)}=([^=]*)(?:,[^,=]*=|$)", expand=False)
        as_numbers = pd.to_numeric(values, errors="coerce")
        columns[key] = values if as_numbers.isna().any() else as_numbers
    return columns


def _cell(folder: Path) -> Cell:
    system, scenario, point, seed = folder.parts[-4:]
    if not seed.isdecimal():
        raise ConfigError(f"{folder}: the folder of a run is named by its seed, a number (found {seed!r})")
    return Cell(system, scenario, point, int(seed), folder)
