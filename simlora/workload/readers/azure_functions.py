"""Azure Functions 2019: invocations per minute, one row per function.

Source: Azure/AzurePublicDataset, AzureFunctionsDataset2019 (CC-BY 4.0; Shahrad et al., USENIX ATC 2020), in the two
cuts that the data folder holds: ``8h``, 369 functions from 08:00 to 15:59 (columns labelled 480..959, minute of the
day from 0), and ``day``, 635 functions over a whole day (columns 1..1440).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from simlora.workload.readers.table import Number, Text, batches
from simlora.workload.workload import Ints


class Cut(NamedTuple):
    """One file under the data folder: its id column, its minute columns and the minute of the day of the first."""

    file: str
    id_column: str
    minutes: tuple[str, ...]
    first_minute: int


CUTS = {
    "day": Cut(
        "traces/azure_functions_2019_day/vectors.csv.gz", "vid", tuple(str(minute) for minute in range(1, 1441)), 0
    ),
    "8h": Cut(
        "traces/azure_functions_2019_8h/invocations.csv.gz",
        "HashFunction",
        tuple(str(minute) for minute in range(480, 960)),
        480,
    ),
}


@lru_cache(maxsize=4)
def read_minute_counts(path: Path, cut: Cut) -> dict[str, Ints]:
    """Invocations per minute of each function, in the file's order; raises :class:`TraceError`."""
    counts: dict[str, Ints] = {}
    whole = Number(whole=True)
    for batch in batches(path, [cut.id_column, *cut.minutes]):
        names = batch.names(cut.id_column, Text("function"))
        rows = np.stack([batch.numbers(minute, whole) for minute in cut.minutes], axis=1).astype(np.int64)
        for row, name in enumerate(names):
            if name in counts:
                batch.refuse(row, cut.id_column, "allowed: each function once")
            counts[name] = rows[row]
    return counts
