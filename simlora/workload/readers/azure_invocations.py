"""Azure Functions 2021: every invocation of 424 functions over two weeks, with its end and its duration.

Source: Azure/AzurePublicDataset, AzureFunctionsInvocationTrace2021 (CC-BY 4.0; Zhang et al., SOSP 2021): columns
``app, func, end_timestamp, duration``, times in seconds; a function id is unique within its application alone. An
invocation arrives at end - duration.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from simlora.workload.readers.table import Number, Text, batches
from simlora.workload.workload import Floats

FILES = {
    "azure-functions-2021": "traces/azure_functions_2021/AzureFunctionsInvocationTraceForTwoWeeksJan2021.txt",
    "azure-functions-2021/sample": "traces/azure_functions_2021_sample/Azure2021_200.csv",
}


@lru_cache(maxsize=2)
def read_invocations(path: Path) -> tuple[Floats, ...]:
    """Arrivals (s, ascending) of each function, functions in order of their first row; raises :class:`TraceError`.

    Those that began before the trace did, at negative times, are left out.
    """
    row_of: dict[tuple[str, str], int] = {}
    functions, arrivals = [], []
    for batch in batches(path, ["app", "func", "end_timestamp", "duration"]):
        ids = zip(batch.names("app", Text("application")), batch.names("func", Text("function")), strict=True)
        functions.append(np.array([row_of.setdefault(both, len(row_of)) for both in ids]))
        arrivals.append(batch.numbers("end_timestamp", Number()) - batch.numbers("duration", Number()))
    function, arrived_s = np.concatenate(functions), np.concatenate(arrivals)
    order = np.lexsort((arrived_s, function))
    order = order[arrived_s[order] >= 0]
    bounds = np.searchsorted(function[order], np.arange(1, len(row_of)))
    return tuple(np.split(arrived_s[order], bounds))
