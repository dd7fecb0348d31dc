"""A user's own traffic as counts per minute or hour: ``time, function, count``.

``time`` is the start of the bin in seconds from the start of the trace, a multiple of the bin; rows ascend in time.
A bin that no row names is empty.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from simlora.errors import TraceError
from simlora.workload.bounds import MOST_REQUESTS
from simlora.workload.readers.requests import check_order
from simlora.workload.readers.table import Number, Text, place_of, read_columns
from simlora.workload.workload import Ints

COLUMNS = ("time", "function", "count")
Bin = Literal["minute", "hour"]
BIN_S: dict[str, float] = {"minute": 60.0, "hour": 3600.0}


def read_counts(path: Path, functions: Sequence[str], every: Bin, until_s: float) -> list[Ints]:
    """Requests per bin of each of ``functions``, in bins that start before ``until_s``; raises :class:`TraceError`.

    Rows of one function and one time add up. A function that the file doesn't name has no requests.
    """
    table = read_columns(
        path,
        {
            "time": Number(),
            "function": Text("function of the functions table", functions),
            "count": Number(whole=True, most=MOST_REQUESTS),
        },
    )
    time_s, bin_s = table["time"], BIN_S[every]
    check_order(path, "time", time_s)
    bins = np.floor(time_s / bin_s).astype(np.int64)
    odd = np.flatnonzero(time_s != bins * bin_s)
    if len(odd):
        row = int(odd[0])
        raise TraceError(
            f'{place_of(path, row)}, column "time": found {time_s[row]:g}; allowed: seconds that are multiples of '
            f'{bin_s:g}, the start of a bin of one {every} (the key every = "minute" or "hour" of the trace)'
        )
    row_of = {name: row for row, name in enumerate(functions)}
    rows = np.array([row_of[name] for name in table["function"]])
    inside = time_s < until_s
    counts = np.zeros((len(functions), math.ceil(until_s / bin_s)), dtype=np.int64)
    np.add.at(counts, (rows[inside], bins[inside]), table["count"][inside].astype(np.int64))
    return list(counts)
