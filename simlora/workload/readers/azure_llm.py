"""Azure LLM inference 2023: arrival, prompt and output tokens of each request of two services (code, conv).

Source: Azure/AzurePublicDataset, ``AzureLLMInferenceTrace_{code,conv}.csv`` (CC-BY 4.0; Patel et al., ISCA 2024).
The trace names no model or user.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from simlora.errors import TraceError
from simlora.workload.readers.requests import TOKENS, UnownedRequests, check_order
from simlora.workload.readers.table import Text, place_of, read_columns

FILES = {
    "code": "traces/azure_llm_2023/AzureLLMInferenceTrace_code.csv.gz",
    "conv": "traces/azure_llm_2023/AzureLLMInferenceTrace_conv.csv.gz",
}


@lru_cache(maxsize=4)
def read_azure_llm(path: Path) -> UnownedRequests:
    """All requests, seconds counted from the first; raises :class:`TraceError`."""
    table = read_columns(path, {"TIMESTAMP": Text("time"), "ContextTokens": TOKENS, "GeneratedTokens": TOKENS})
    stamps = _instants(path, table["TIMESTAMP"])
    arrived_s = (stamps - stamps[0]) / np.timedelta64(1, "s")
    check_order(path, "TIMESTAMP", arrived_s)
    return UnownedRequests(
        arrived_s=arrived_s,
        prompt_tokens=table["ContextTokens"].astype(np.int32),
        output_tokens=table["GeneratedTokens"].astype(np.int32),
    )


def _instants(path: Path, stamps: list[str]) -> np.ndarray[tuple[int], np.dtype[np.datetime64]]:
    try:
        return np.array(stamps, dtype="datetime64[ns]")
    except ValueError:
        row = next(row for row, stamp in enumerate(stamps) if not _is_instant(stamp))
        raise TraceError(
            f'{place_of(path, row)}, column "TIMESTAMP": found "{stamps[row]}"; '
            "allowed: a time such as 2023-11-16 18:17:03.9799600"
        ) from None


def _is_instant(stamp: str) -> bool:
    try:
        np.datetime64(stamp, "ns")
    except ValueError:
        return False
    return True
