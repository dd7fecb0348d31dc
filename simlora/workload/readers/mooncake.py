"""Mooncake: timestamp, prompt and output tokens of each request of Kimi's services, one JSON object per line.

Source: kvcache-ai/Mooncake, ``FAST25-release/traces`` (Apache-2.0; Qin et al., FAST 2025). ``timestamp`` is in
milliseconds; ``hash_ids``, the hashes of 512-token prefix blocks, are not used. Requests come in groups 3 s apart: the
timestamp is the start of a bin, not an arrival.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from simlora.workload.readers.jsonl import read_fields
from simlora.workload.readers.requests import TOKENS, UnownedRequests, check_order
from simlora.workload.readers.table import Number

FILES = {"conversation": "traces/mooncake_fast25/conversation_trace.jsonl.gz"}
BIN_S = 3.0


@lru_cache(maxsize=4)
def read_mooncake(path: Path) -> UnownedRequests:
    """All requests at the start of their bins, seconds counted from the first; raises :class:`TraceError`."""
    found = read_fields(path, {"timestamp": Number(), "input_length": TOKENS, "output_length": TOKENS})
    arrived_s = found["timestamp"] / 1e3
    check_order(path, "timestamp", arrived_s)
    return UnownedRequests(
        arrived_s=arrived_s - arrived_s[0],
        prompt_tokens=found["input_length"].astype(np.int32),
        output_tokens=found["output_length"].astype(np.int32),
    )
