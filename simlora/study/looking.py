"""Finished runs read back for tables and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from simlora.errors import ConfigError
from simlora.study.store import one_message
from simlora.study.summary import read_rows


def rows_of(folders: Sequence[Path]) -> list[dict[str, Any]]:
    """The summaries of several results folders; with more than one each system is called after its folder too."""
    rows: list[dict[str, Any]] = []
    for folder in folders:
        check_results(folder)
        named = f"{folder.name}: " if len(folders) > 1 else ""
        rows += [{**row, "system": f"{named}{row['system']}"} for row in read_rows(folder / "summary.csv")]
    if not rows:
        raise ConfigError(f"{', '.join(map(str, folders))}: no finished run")
    return rows


def bounds_of(folders: Sequence[Path]) -> list[str]:
    """Which systems of these folders are relaxations, called as :func:`rows_of` calls them."""
    from simlora.results.load import load

    names: dict[str, None] = {}
    for folder in folders:
        named = f"{folder.name}: " if len(folders) > 1 else ""
        for cell in load(folder).cells:
            if cell.facts.get("evaluation") == "relaxation":
                names[f"{named}{cell.system}"] = None
    return list(names)


def check_results(folder: Path) -> None:
    """Raise :class:`ConfigError` for what no run has ended in."""
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such results folder")
    if not (folder / "summary.csv").is_file():
        raise ConfigError(f"{folder}: no results folder: no summary.csv, which simlora run writes when a run has ended")


def draw(
    folder: Path, x: str, y: str, curve: str, row: str | None, col: str | None, filters: Sequence[str]
) -> tuple[Path, ...]:
    """Draw ``y`` against ``x`` into ``folder/plots``, which no run clears; returns the files.

    Raises :class:`ConfigError` for a column or a value that does not occur.
    """
    from simlora.plotting import plot
    from simlora.plotting.grid import select
    from simlora.results.load import load
    from simlora.study.figures import drawn_systems

    check_results(folder)
    summary = load(folder).summary
    frame = drawn_systems(select(summary, dict(map(_condition, filters))))
    picture = plot(frame, x, y, curve, row, col, systems=summary["system"].unique())
    keys = [f"{name}-{value}" for name, value in (("row", row), ("col", col)) if value]
    stem = "-".join([y, "by", x, *([] if curve == "system" else ["curve", curve]), *keys, *filters])
    with one_message(folder):
        return picture.save(folder / "plots" / stem.replace("/", "_"))


def _condition(text: str) -> tuple[str, str]:
    column, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"--filter {text}: expected COLUMN=VALUE")
    return column, value
