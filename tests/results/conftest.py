"""Result tables of a few rows, in the schema that runs are recorded in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from simlora.entities import Function
from simlora.latency import load_backbone

NAN = float("nan")
WORD = pa.dictionary(pa.int32(), pa.string())

REQUEST = {
    "request": (pa.int64(), 0), "function": (WORD, "f"), "arrived_s": (pa.float64(), 0.0),
    "prompt_tokens": (pa.int32(), 10), "output_tokens": (pa.int32(), 1), "outcome": (WORD, "finished"),
    "bound_s": (pa.float64(), NAN), "ready_s": (pa.float64(), NAN), "started_s": (pa.float64(), NAN),
    "first_token_s": (pa.float64(), NAN), "finished_s": (pa.float64(), NAN), "instance": (pa.int32(), -1),
    "gpu": (pa.int32(), -1), "batch": (pa.int32(), 0), "cold": (pa.bool_(), False), "preemptions": (pa.int32(), 0),
}  # fmt: skip
USAGE = {
    "holder": (WORD, "instance"), "id": (pa.int32(), 0), "function": (WORD, "f"), "gpu": (pa.int32(), 0),
    "state": (WORD, "busy"), "from_s": (pa.float64(), 0.0), "to_s": (pa.float64(), 0.0),
    "device_bytes": (pa.int64(), 0), "host_bytes": (pa.int64(), 0),
}  # fmt: skip
EVENT = {
    "kind": (WORD, "stage_finished"), "at_s": (pa.float64(), 0.0), "instance": (pa.int32(), 0), "function": (WORD, "f"),
    "gpu": (pa.int32(), 0), "stage": (WORD, ""), "seconds": (pa.float64(), 0.0), "bytes": (pa.int64(), 0),
    "source": (WORD, ""), "on_demand": (pa.bool_(), True), "request": (pa.int64(), -1), "why": (pa.string(), ""),
}  # fmt: skip

Rows = list[dict[str, Any]]
Build = Callable[..., pa.Table]


def build(schema: dict[str, tuple[Any, Any]]) -> Build:
    def table(*rows: dict[str, Any]) -> pa.Table:
        for row in rows:
            assert row.keys() <= schema.keys(), row.keys() - schema.keys()
        columns = {
            name: pa.array([row.get(name, default) for row in rows], kind) for name, (kind, default) in schema.items()
        }
        return pa.table(columns)

    return table


@pytest.fixture(scope="session")
def requests_of() -> Build:
    """A requests table from rows that say only what matters."""
    return build(REQUEST)


@pytest.fixture(scope="session")
def usage_of() -> Build:
    """A usage table from rows that say only what matters."""
    return build(USAGE)


@pytest.fixture(scope="session")
def events_of() -> Build:
    """An events table from rows that say only what matters."""
    return build(EVENT)


@pytest.fixture(scope="session")
def functions() -> list[Function]:
    """``f`` promises a TTFT of 2.5 s; ``g`` 4 s and a TPOT of 0.1 s."""
    backbone = load_backbone("llama-2-7b")
    return [
        Function(0, "f", backbone, 16, ("q_proj", "v_proj"), slo_ttft_s=2.5),
        Function(1, "g", backbone, 16, ("q_proj", "v_proj"), slo_ttft_s=4.0, slo_tpot_s=0.1),
    ]
