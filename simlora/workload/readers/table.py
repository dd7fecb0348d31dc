"""Columns of a CSV or Parquet file, read batch by batch and checked value by value.

What is wrong is said once, with file, line (row in Parquet), column, the value found and what is allowed.
"""

from __future__ import annotations

import csv
import difflib
import gzip
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from simlora.errors import TraceError, did_you_mean
from simlora.workload.workload import Floats


@dataclass(frozen=True)
class Number:
    """A finite number from ``least`` to ``most``, whole if ``whole``."""

    least: float = 0.0
    whole: bool = False
    most: float = math.inf

    @property
    def allowed(self) -> str:
        upto = f" to {self.most:,.0f}" if self.most < math.inf else ""
        return f"{'whole numbers' if self.whole else 'numbers'} from {self.least:g}{upto}"

    def fits(self, values: Floats) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which values are allowed, one flag each."""
        good = np.isfinite(values) & (values >= self.least) & (values <= self.most)
        return good & (values == np.floor(values)) if self.whole else good


@dataclass(frozen=True)
class Text:
    """Names; any but the empty one, or one of ``among``. ``what`` says of what, for the message."""

    what: str
    among: Sequence[str] | None = None


Kind = Number | Text


@dataclass(frozen=True)
class Batch:
    """Consecutive rows of a file; ``first_row`` counts from 0."""

    path: Path
    first_row: int
    rows: pa.RecordBatch

    def numbers(self, column: str, kind: Number) -> Floats:
        """The column as floats; raises :class:`TraceError` at the first value that isn't allowed."""
        values = self.rows.column(column)
        try:
            numbers = np.asarray(pc.cast(values, pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            numbers = np.array([_number(value) for value in values.to_pylist()])
        bad = np.flatnonzero(~kind.fits(numbers))
        if len(bad):
            self.refuse(int(bad[0]), column, f"allowed: {kind.allowed}")
        return numbers

    def names(self, column: str, kind: Text) -> list[str]:
        """The column as strings; raises :class:`TraceError` at the first that isn't allowed."""
        values = ["" if value is None else str(value) for value in self.rows.column(column).to_pylist()]
        among = None if kind.among is None else frozenset(kind.among)
        for row, value in enumerate(values):
            if not value:
                self.refuse(row, column, f"allowed: the name of a {kind.what}")
            if among is not None and value not in among:
                self.refuse(row, column, f"no {kind.what} has that name{did_you_mean(value, kind.among or ())}")
        return values

    def refuse(self, row: int, column: str, why: str) -> NoReturn:
        """Raise the error for the value in ``row`` of this batch."""
        value = self.rows.column(column)[row].as_py()
        found = "nothing" if value is None or value == "" else f'"{value}"'
        raise TraceError(f'{place_of(self.path, self.first_row + row)}, column "{column}": found {found}; {why}')


def read_columns(path: Path, columns: Mapping[str, Kind]) -> dict[str, Any]:
    """The named columns: floats for each :class:`Number`, a list of strings for each :class:`Text`.

    Raises :class:`TraceError` if the file is missing, truncated, empty, lacks a column or holds a bad value.
    """
    numbers: dict[str, list[Floats]] = {name: [] for name, kind in columns.items() if isinstance(kind, Number)}
    names: dict[str, list[str]] = {name: [] for name, kind in columns.items() if isinstance(kind, Text)}
    for batch in batches(path, list(columns)):
        for name, kind in columns.items():
            if isinstance(kind, Number):
                numbers[name].append(batch.numbers(name, kind))
            else:
                names[name].extend(batch.names(name, kind))
    return {**{name: np.concatenate(parts) for name, parts in numbers.items()}, **names}


def batches(path: Path, columns: Sequence[str]) -> Iterator[Batch]:
    """The file in batches that hold the named columns, CSV values as text; at least one row in all."""
    row = 0
    with readable(path):
        require(path, column_names(path), columns)
        for rows in _record_batches(path, columns):
            yield Batch(path, row, rows)
            row += rows.num_rows
    if row == 0:
        raise TraceError(f"{path}: the trace is empty; at least one row must follow the column names")


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what the file system and the format say of a missing, truncated or damaged file into one message."""
    if path.is_dir():
        raise TraceError(f"{path}: a folder, not a file")
    try:
        yield
    except FileNotFoundError:
        raise TraceError(f"{path}: no such file") from None
    except (pa.ArrowException, OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise TraceError(f"{path}: cannot be read to its end (truncated or damaged?): {reason}") from None


def require(path: Path, found: Sequence[str], columns: Sequence[str]) -> None:
    """Raise :class:`TraceError` for the first of ``columns`` that isn't among those found."""
    if not found:
        raise TraceError(f"{path}: the file is empty; the first line must name the columns {', '.join(columns[:8])}")
    for name in columns:
        if name in found:
            continue
        shown = ", ".join([*found[:8], *["..."] * (len(found) > 8)])
        near = difflib.get_close_matches(name, [column for column in found if column not in columns], n=1)
        hint = f'; did you mean "{near[0]}"? Rename it' if near else ""
        needed = f"; needed: {', '.join(columns)}" if len(columns) <= 8 else ""
        raise TraceError(f'{path}: no column "{name}" (found: {shown}){needed}{hint}')


def column_names(path: Path) -> list[str]:
    """Of a CSV (plain or gzip) or Parquet file, in the file's order."""
    if path.suffix == ".parquet":
        return [str(name) for name in pyarrow.parquet.read_schema(path).names]
    with open_text(path) as lines:
        return next(csv.reader(lines), [])


def place_of(path: Path, row: int) -> str:
    """``file, line 7`` of a data row of a CSV or JSONL (blank lines counted), ``file, row 6`` of a Parquet file."""
    if path.suffix == ".parquet":
        return f"{path}, row {row + 1}"
    above = 0 if ".jsonl" in path.suffixes else 1
    with open_text(path) as lines:
        filled = (number for number, line in enumerate(lines, start=1) if line.strip())
        return f"{path}, line {next(number for place, number in enumerate(filled) if place == row + above)}"


def open_text(path: Path) -> Any:
    """The file as UTF-8 text, unpacked if its name ends in .gz."""
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig")
    return path.open(encoding="utf-8-sig")


def _record_batches(path: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    if path.suffix == ".parquet":
        yield from pyarrow.parquet.ParquetFile(path).iter_batches(columns=list(columns))
        return
    yield from pyarrow.csv.open_csv(
        path,
        read_options=pyarrow.csv.ReadOptions(use_threads=False),
        convert_options=pyarrow.csv.ConvertOptions(
            include_columns=list(columns), column_types={name: pa.string() for name in columns}
        ),
    )


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
