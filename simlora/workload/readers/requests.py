"""A user's own traffic, one row per request: ``arrived_s, function, prompt_tokens, output_tokens``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from simlora.errors import TraceError
from simlora.workload.bounds import MOST_TOKENS
from simlora.workload.readers.table import Number, Text, place_of, read_columns
from simlora.workload.workload import Floats, Workload

COLUMNS = ("arrived_s", "function", "prompt_tokens", "output_tokens")
TOKENS = Number(least=1, whole=True, most=MOST_TOKENS)


@dataclass(frozen=True)
class RequestTable:
    """Requests in order of arrival; ``function`` is the row of the functions table."""

    arrived_s: Floats
    function: NDArray[np.int32]
    prompt_tokens: NDArray[np.int32]
    output_tokens: NDArray[np.int32]


class UnownedRequests(NamedTuple):
    """Requests in order of arrival; nobody says whose they are."""

    arrived_s: Floats
    prompt_tokens: NDArray[np.int32]
    output_tokens: NDArray[np.int32]


def read_requests(path: Path, functions: Sequence[str]) -> RequestTable:
    """The file's requests; raises :class:`TraceError`, also for a function that isn't in ``functions``."""
    table = read_columns(
        path,
        {
            "arrived_s": Number(),
            "function": Text("function of the functions table", functions),
            "prompt_tokens": TOKENS,
            "output_tokens": TOKENS,
        },
    )
    check_order(path, "arrived_s", table["arrived_s"])
    row_of = {name: row for row, name in enumerate(functions)}
    return RequestTable(
        arrived_s=table["arrived_s"],
        function=np.array([row_of[name] for name in table["function"]], dtype=np.int32),
        prompt_tokens=table["prompt_tokens"].astype(np.int32),
        output_tokens=table["output_tokens"].astype(np.int32),
    )


def check_order(path: Path, column: str, times: Floats) -> None:
    """Raise :class:`TraceError` at the first time that is earlier than the one above it."""
    early = np.flatnonzero(np.diff(times) < 0)
    if len(early):
        row = int(early[0]) + 1
        raise TraceError(
            f'{place_of(path, row)}, column "{column}": found {times[row]:g} s after {times[row - 1]:g} s; '
            "allowed: times in ascending order (sort the rows)"
        )


def write_requests(path: Path, workload: Workload, functions: Sequence[str]) -> None:
    """Write a workload in this format, CSV or Parquet by the name's end, so that any trace can become a file."""
    names = pa.DictionaryArray.from_arrays(pa.array(workload.function), pa.array(list(functions), pa.string()))
    table = pa.table(
        [workload.arrived_s, names.cast(pa.string()), workload.prompt_tokens, workload.output_tokens], names=COLUMNS
    )
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(table, path)
    else:
        pyarrow.csv.write_csv(table, path)
