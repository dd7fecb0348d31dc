"""Fields of a file with one JSON object per line, plain or gzip, checked value by value."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from simlora.errors import TraceError, did_you_mean
from simlora.workload.readers.table import Number, open_text, readable
from simlora.workload.workload import Floats


def read_fields(path: Path, fields: Mapping[str, Number]) -> dict[str, Floats]:
    """The named fields of all lines; others are ignored, blank lines too.

    Raises :class:`TraceError` naming file, line and field for what is missing, truncated or not allowed.
    """
    found: dict[str, list[float]] = {name: [] for name in fields}
    with readable(path), open_text(path) as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            row = _object(line, f"{path}, line {number}")
            for name, kind in fields.items():
                found[name].append(_value(row, name, kind, f"{path}, line {number}"))
    if not any(found.values()):
        raise TraceError(f"{path}: the trace is empty; at least one line with {', '.join(fields)} is needed")
    return {name: np.array(values) for name, values in found.items()}


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise TraceError(f"{where}: not a JSON object: {error}") from None
    if not isinstance(row, dict):
        raise TraceError(f"{where}: expected a JSON object, found {type(row).__name__}")
    return row


def _value(row: Mapping[str, Any], name: str, kind: Number, where: str) -> float:
    if name not in row:
        raise TraceError(f'{where}: no field "{name}"{did_you_mean(name, row)}')
    value = row[name]
    number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if not kind.fits(np.array([number]))[0]:
        raise TraceError(f'{where}, field "{name}": found {json.dumps(value)}; allowed: {kind.allowed}')
    return number
