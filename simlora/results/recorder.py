"""What a run leaves behind: requests in columns, usage as intervals, events as rows.

Written as it happens into flat arrays, one slot per request and no object per request (design section 7).
"""

from __future__ import annotations

import json
import struct
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from simlora.entities import Function, QueuedRequest
from simlora.events import Event
from simlora.results.event_table import EventTable
from simlora.results.rows import ROW_GROUP, Rows, write_parquet

if TYPE_CHECKING:
    from simlora.workload import Workload

OUTCOMES = ("unfinished", "finished", "rejected", "failed", "timed_out")
UNFINISHED, FINISHED, REJECTED, FAILED, TIMED_OUT = range(len(OUTCOMES))
HOLDERS = ("instance", "backbone", "gpu")
INSTANCE, BACKBONE, GPU = range(len(HOLDERS))
STATES = ("starting", "idle", "busy", "reserved")
STARTING, IDLE, BUSY, RESERVED = range(len(STATES))
USAGE = struct.Struct("=5i2d2q")
"""A row of usage; a chunk of them becomes a part of the table."""
CHUNK_BYTES = ROW_GROUP * USAGE.size
USAGE_COLUMNS = np.dtype(
    [(name, "i4") for name in ("holder", "id", "function", "gpu", "state")]
    + [(name, "f8") for name in ("from_s", "to_s")]
    + [(name, "i8") for name in ("device_bytes", "host_bytes")]
)


@dataclass(frozen=True)
class RunRecord:
    """The three tables of a run (columns as in the documentation of the results folder) and its facts."""

    requests: pa.Table
    usage_rows: Rows
    event_rows: Rows
    facts: Mapping[str, Any]

    @property
    def usage(self) -> pa.Table:
        """All of it in memory."""
        return self.usage_rows.table()

    @property
    def events(self) -> pa.Table:
        """All of them in memory."""
        return self.event_rows.table()

    def write(self, folder: Path) -> None:
        """``requests.parquet usage.parquet events.parquet facts.json`` into an existing folder."""
        write_parquet(self.requests, folder / "requests.parquet")
        self.usage_rows.write(folder / "usage.parquet")
        self.event_rows.write(folder / "events.parquet")
        text = json.dumps(self.facts, indent=1, sort_keys=True)
        (folder / "facts.json").write_text(text + "\n", encoding="utf-8")


class Recorder:
    """Columns by request index, into which the engine writes directly; usage and events leave memory by and by."""

    def __init__(self, count: int, functions: Sequence[Function]):
        self._names = [function.id for function in functions]
        self.bound_s = array("d", (nan,)) * count
        self.ready_s = array("d", (nan,)) * count
        self.started_s = array("d", (nan,)) * count
        self.first_token_s = array("d", (nan,)) * count
        self.finished_s = array("d", (nan,)) * count
        self.instance = array("i", (-1,)) * count
        self.gpu = array("i", (-1,)) * count
        self.batch = array("i", (0,)) * count
        self.preemptions = array("i", (0,)) * count
        self.outcome = array("b", (UNFINISHED,)) * count
        self.cold = array("b", (0,)) * count
        self.why = array("i", (0,)) * count
        self._whys = {"": 0}
        self._events = EventTable()
        self._usage = bytearray()
        self._usage_rows = Rows()

    def event(self, event: Event) -> None:
        """Something happened."""
        self._events.append(event)

    def bound(self, work: Sequence[QueuedRequest], why: str) -> None:
        """The routing policy found a place for this work, and said why."""
        code = self._whys.setdefault(why, len(self._whys))
        for request in work:
            self.why[request.index] = code

    def usage(
        self,
        holder: int,
        id_: int,
        function: int,
        gpu: int,
        state: int,
        from_s: float,
        to_s: float,
        device_bytes: int,
        host_bytes: int,
    ) -> None:
        """An interval in which a holder's state and bytes did not change; empty ones are left out."""
        if to_s > from_s:
            self._usage += USAGE.pack(holder, id_, function, gpu, state, from_s, to_s, device_bytes, host_bytes)
            if len(self._usage) == CHUNK_BYTES:
                self._usage_rows.append(self._usage_table())

    def tables(self, workload: Workload) -> tuple[pa.Table, Rows, Rows]:
        """Requests, usage and events, of a run that has ended."""
        self._usage_rows.append(self._usage_table())
        return self._requests(workload), self._usage_rows, self._events.rows()

    def _requests(self, workload: Workload) -> pa.Table:
        count = len(workload)
        return pa.table(
            {
                "request": np.arange(count, dtype=np.int64),
                "function": _dictionary(workload.function, self._names),
                "arrived_s": workload.arrived_s,
                "prompt_tokens": workload.prompt_tokens,
                "output_tokens": workload.output_tokens,
                "outcome": _dictionary(self.outcome, OUTCOMES),
                "bound_s": np.asarray(self.bound_s),
                "ready_s": np.asarray(self.ready_s),
                "started_s": np.asarray(self.started_s),
                "first_token_s": np.asarray(self.first_token_s),
                "finished_s": np.asarray(self.finished_s),
                "instance": np.asarray(self.instance),
                "gpu": np.asarray(self.gpu),
                "batch": np.asarray(self.batch),
                "cold": np.asarray(self.cold).astype(bool),
                "preemptions": np.asarray(self.preemptions),
                "why": _dictionary(self.why, list(self._whys)),
            }
        )

    def _usage_table(self) -> pa.Table:
        """What has been noted since the last time."""
        rows, self._usage = np.frombuffer(self._usage, USAGE_COLUMNS), bytearray()
        return pa.table(
            {
                "holder": _dictionary(rows["holder"], HOLDERS),
                "id": rows["id"],
                "function": _dictionary(rows["function"] + 1, ["", *self._names]),
                "gpu": rows["gpu"],
                "state": _dictionary(rows["state"], STATES),
                "from_s": rows["from_s"],
                "to_s": rows["to_s"],
                "device_bytes": rows["device_bytes"],
                "host_bytes": rows["host_bytes"],
            }
        )


def _dictionary(codes: Any, names: Sequence[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(np.asarray(codes).astype(np.int32), pa.array(names, pa.string()))
