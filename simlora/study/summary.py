"""From finished runs to ``summary.csv`` and ``summary_by_function.csv``."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simlora.errors import TraceError
from simlora.results.prices import Price, choose_prices
from simlora.results.summary import KEYS, bill_of, summarise, summarise_functions
from simlora.study.grid import Cell, Group
from simlora.study.store import Store, one_message

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]


def read_facts(store: Store, cell: Cell) -> dict[str, Any]:
    """What a finished run states about itself; :class:`TraceError` if its file is gone or cut off."""
    path = store.folder(cell) / "facts.json"
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TraceError(f"{path}: {error}; remove the folder and run again") from None
    return facts


def billing_windows(facts: Mapping[Group, Sequence[Mapping[str, Any]]]) -> dict[Group, float]:
    """Per scenario, point and seed the seconds over which all systems are billed: until the last has finished."""
    return {group: max(max(f["duration_s"], f["end_s"]) for f in all_of) for group, all_of in facts.items()}


def write_summary(store: Store, cells: Sequence[Cell], prices: Sequence[Price]) -> tuple[list[Row], list[Row]]:
    """Write ``summary.csv`` of the finished ``cells``; returns its rows, and the facts, in their order."""
    facts = [read_facts(store, cell) for cell in cells]
    by_group: dict[Group, list[Mapping[str, Any]]] = {}
    for cell, of_cell in zip(cells, facts, strict=True):
        by_group.setdefault(cell.group, []).append(of_cell)
    windows_s = billing_windows(by_group)
    rows: list[Row] = []
    for cell, of_cell in zip(cells, facts, strict=True):
        requests, usage = (_read(store, cell, name) for name in ("requests", "usage"))
        window_s = windows_s[cell.group]
        ways = choose_prices(prices, cell.config.billing)
        lists = min(ways, key=lambda way: bill_of(requests, usage, of_cell, window_s, way).total_usd)
        rows.append({**_keys(cell), **summarise(requests, usage, of_cell, cell.functions, window_s, lists)})
    write_rows(store.out / "summary.csv", rows)
    return rows, facts


def write_by_function(store: Store, cells: Sequence[Cell], facts: Sequence[Row]) -> None:
    """Write ``summary_by_function.csv`` of the finished ``cells``, whose ``facts`` are in their order."""
    rows: list[Row] = []
    for cell, of_cell in zip(cells, facts, strict=True):
        each = summarise_functions(_read(store, cell, "requests"), of_cell, cell.functions)
        rows += [{**_keys(cell), "function": name, **row} for name, row in each.items()]
    write_rows(store.out / "summary_by_function.csv", rows)


def _keys(cell: Cell) -> Row:
    return dict(zip(KEYS, (cell.system, cell.scenario, cell.point, cell.seed), strict=True))


def _read(store: Store, cell: Cell, name: str) -> pa.Table:
    import pyarrow.parquet as pq

    return pq.read_table(store.folder(cell) / f"{name}.parquet")


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """A CSV of rows with the same keys; a number that does not exist (NaN) is an empty cell."""
    with one_message(path), path.with_suffix(".new").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else KEYS, lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: "" if value != value else value for key, value in row.items()} for row in rows)
    path.with_suffix(".new").replace(path)


def read_rows(path: Path) -> list[Row]:
    """The rows of a ``summary.csv``, numbers as numbers; :class:`TraceError` if it isn't one."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            rows = [{key: _value(key, value) for key, value in raw.items()} for raw in reader]
            names = reader.fieldnames or []
    except OSError as error:
        raise TraceError(f"{path}: {error.strerror}; simlora run writes it when a run has ended") from None
    except ValueError as error:
        raise TraceError(f"{path}: {error}") from None
    for key in KEYS:
        if key not in names:
            raise TraceError(f'{path}: no column "{key}" (found {", ".join(names) or "nothing"})')
    return rows


def _value(key: str | Any, value: Any) -> Any:
    if key in {"system", "scenario", "point", "function"}:
        return value
    if not isinstance(value, str):
        raise ValueError("a row has more or fewer cells than there are columns")
    return float(value or "nan") if key != "seed" else int(value)
