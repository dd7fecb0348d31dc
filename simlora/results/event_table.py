"""Events as rows of ``events.parquet``, gathered in chunks so that memory does not grow with their number."""

from __future__ import annotations

from collections.abc import Callable
from math import nan
from typing import Any

import pyarrow as pa

from simlora.entities import Backbone, Function
from simlora.events import (
    AdapterEvicted,
    AdapterFailed,
    AdapterLoaded,
    BackboneEvicted,
    BackboneFailed,
    BackboneLoaded,
    Event,
    GpuLost,
    GpuReturned,
    InstanceEvicted,
    InstanceFailed,
    InstanceStarted,
    InstanceStopped,
    PipelineFormed,
    PipelineGathered,
    RequestFailed,
    RequestRejected,
    RequestRetried,
    RequestsPreempted,
    StageFinished,
    StoreChanged,
    WorkLost,
)
from simlora.results.rows import ROW_GROUP, Rows

TEXT = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema(
    [
        ("kind", TEXT),
        ("at_s", pa.float64()),
        ("instance", pa.int32()),
        ("function", TEXT),
        ("gpu", pa.int32()),
        ("stage", TEXT),
        ("seconds", pa.float64()),
        ("bytes", pa.int64()),
        ("source", TEXT),
        ("on_demand", pa.bool_()),
        ("request", pa.int64()),
        ("why", TEXT),
    ]
)
BATCH = 4_096
"""Rows that are objects at a time."""
Row = tuple[Any, ...]


def _name(what: Function | Backbone | None) -> str:
    if what is None:
        return ""
    return what.id if isinstance(what, Function) else what.name


def _started(e: InstanceStarted) -> Row:
    return "instance_started", e.at_s, e.instance, _name(e.function), e.gpu, "", nan, 0, "", e.on_demand, -1, e.why


def _stage(e: StageFinished) -> Row:
    where = e.instance, _name(e.function), e.gpu, e.stage
    return "stage_finished", e.at_s, *where, e.seconds, e.bytes, e.source, e.on_demand, -1, ""


def _evicted(e: InstanceEvicted) -> Row:
    where = e.instance, _name(e.function), e.gpu, e.stage
    return "instance_evicted", e.at_s, *where, nan, e.bytes, "", False, -1, e.why


def _formed(e: PipelineFormed) -> Row:
    why = f"the other parts on GPU {', '.join(map(str, e.helpers))}"
    return "pipeline_formed", e.at_s, e.instance, _name(e.function), e.gpu, "", nan, 0, "", False, -1, why


def _gathered(e: PipelineGathered) -> Row:
    where = e.instance, _name(e.function), e.gpu, ""
    return "pipeline_gathered", e.at_s, *where, e.seconds, e.bytes, e.source, False, -1, f"it was in {e.parts} parts"


def _stopped(e: InstanceStopped) -> Row:
    return "instance_stopped", e.at_s, e.instance, _name(e.function), e.gpu, "", nan, 0, "", False, -1, e.why


def _loaded(e: BackboneLoaded) -> Row:
    return "backbone_loaded", e.at_s, -1, e.backbone.name, e.gpu, "", e.seconds, e.bytes, e.source, False, -1, ""


def _backbone_evicted(e: BackboneEvicted) -> Row:
    return "backbone_evicted", e.at_s, -1, e.backbone.name, e.gpu, "", nan, e.bytes, "", False, -1, e.why


def _adapter_loaded(e: AdapterLoaded) -> Row:
    where = e.instance, e.function.id, e.gpu, ""
    return "adapter_loaded", e.at_s, *where, e.seconds, e.bytes, e.source, not e.ahead, -1, ""


def _adapter_evicted(e: AdapterEvicted) -> Row:
    return "adapter_evicted", e.at_s, e.instance, e.function.id, e.gpu, "", nan, e.bytes, "", False, -1, e.why


def _ended_badly(kind: str) -> Callable[[RequestRejected | RequestRetried | RequestFailed], Row]:
    return lambda e: (kind, e.at_s, -1, e.function.id, -1, "", nan, 0, "", False, e.request, e.why)


def _failed(kind: str) -> Callable[[InstanceFailed | AdapterFailed], Row]:
    return lambda e: (kind, e.at_s, e.instance, _name(e.function), e.gpu, "", nan, 0, "", False, -1, e.why)


def _backbone_failed(e: BackboneFailed) -> Row:
    return "backbone_failed", e.at_s, -1, e.backbone.name, e.gpu, "", nan, 0, "", False, -1, e.why


def _lost(e: GpuLost) -> Row:
    return "gpu_lost", e.at_s, -1, "", e.gpu, "", nan, 0, "", False, -1, e.why


def _returned(e: GpuReturned) -> Row:
    return "gpu_returned", e.at_s, -1, "", e.gpu, "", nan, 0, "", False, -1, ""


def _store(e: StoreChanged) -> Row:
    why = f"at {e.factor:g} of its rate"
    return "store_changed", e.at_s, -1, "", -1, "", nan, 0, "remote", False, -1, why


def _work_lost(e: WorkLost) -> Row:
    return "work_lost", e.at_s, e.instance, e.function.id, e.gpu, "", e.lost_s, 0, "", False, e.request, e.why


ROWS: dict[type, Callable[[Any], Row]] = {
    InstanceStarted: _started,
    StageFinished: _stage,
    InstanceEvicted: _evicted,
    InstanceStopped: _stopped,
    PipelineFormed: _formed,
    PipelineGathered: _gathered,
    BackboneLoaded: _loaded,
    BackboneEvicted: _backbone_evicted,
    AdapterLoaded: _adapter_loaded,
    AdapterEvicted: _adapter_evicted,
    RequestRejected: _ended_badly("request_rejected"),
    RequestRetried: _ended_badly("request_retried"),
    RequestFailed: _ended_badly("request_failed"),
    InstanceFailed: _failed("instance_failed"),
    AdapterFailed: _failed("adapter_failed"),
    BackboneFailed: _backbone_failed,
    GpuLost: _lost,
    GpuReturned: _returned,
    StoreChanged: _store,
    WorkLost: _work_lost,
}


class EventTable:
    """Appended to as things happen."""

    def __init__(self) -> None:
        self._new: list[Row] = []
        self._batches: list[pa.RecordBatch] = []
        self._rows = Rows()

    def append(self, event: Event) -> None:
        """One row, or one for each of several preempted requests."""
        if isinstance(event, RequestsPreempted):
            for request in event.requests:
                where = event.at_s, event.instance, "", event.gpu, ""
                self._new.append(("request_preempted", *where, nan, 0, "", False, request, event.why))
        else:
            self._new.append(ROWS[type(event)](event))
        if len(self._new) >= BATCH:
            self._pack()
            if len(self._batches) == ROW_GROUP // BATCH:
                self._flush()

    def _pack(self) -> None:
        if self._new:
            columns = zip(*self._new, strict=True)
            arrays = [_column(values, field.type) for values, field in zip(columns, SCHEMA, strict=True)]
            self._batches.append(pa.RecordBatch.from_arrays(arrays, schema=SCHEMA))
            self._new = []

    def _flush(self) -> None:
        self._rows.append(pa.Table.from_batches(self._batches, schema=SCHEMA).unify_dictionaries())
        self._batches = []

    def rows(self) -> Rows:
        """All of them, when the last has happened."""
        self._pack()
        self._flush()
        return self._rows


def _column(values: tuple[Any, ...], kind: pa.DataType) -> pa.Array:
    return pa.array(values, pa.string()).dictionary_encode() if kind == TEXT else pa.array(values, kind)
