"""A run in the trace-event format, which Perfetto (ui.perfetto.dev) and chrome://tracing open.

One process per GPU, with a row for each instance and backbone process on it and a counter of its memory; one process
for the requests, with a row each and counters of how many wait. The format: "Trace Event Format", Google, 2016.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from simlora.results.load import Cell
from simlora.results.occupancy import occupancy
from simlora.results.tables import numbers, words

TraceEvent = dict[str, Any]
REQUESTS = 1
"""The process of the requests; that of a GPU is its index + 2."""
PHASES = (
    ("waits for a place", "arrived_s"),
    ("start-up", "bound_s"),
    ("waits for its batch", "ready_s"),
    ("prefill", "started_s"),
    ("decode", "first_token_s"),
)
EVICTED = ("instance_evicted", "instance_stopped", "backbone_evicted", "adapter_evicted", "request_preempted")
FAILED = ("instance_failed", "backbone_failed", "adapter_failed", "work_lost", "gpu_lost", "gpu_returned")


class Slice(NamedTuple):
    """Something that lasted on a row of a GPU."""

    gpu: int
    row: str
    from_s: float
    to_s: float
    name: str
    kind: str
    about: Mapping[str, Any]


def write_trace_events(cell: Cell, path: Path, from_s: float = 0.0, to_s: float = float("inf")) -> int:
    """Write what a run did between two of its seconds as JSON, an event per line; returns the number of events.

    What reaches into the window is written whole. Raises :class:`TraceError` if a table of the run can't be read.
    """
    count = 0
    with path.open("w", encoding="utf-8") as file:
        file.write('{"displayTimeUnit": "ms", "traceEvents": [')
        for count, event in enumerate(trace_events(cell, from_s, to_s), start=1):
            file.write(("\n" if count == 1 else ",\n") + json.dumps(event, allow_nan=False))
        file.write("\n]}\n")
    return count


def trace_events(cell: Cell, from_s: float = 0.0, to_s: float = float("inf")) -> Iterator[TraceEvent]:
    """The events: names of rows first, the others in the order of time (``ts`` and ``dur`` in us)."""
    end_s = float(cell.facts["end_s"])
    requests = cell.table("requests")
    ends = numbers(requests, "finished_s")
    last_s = np.where(np.isnan(ends), end_s, ends)
    requests = requests.append_column("last_s", pa.array(last_s))
    requests = requests.filter(pa.array((numbers(requests, "arrived_s") <= to_s) & (last_s >= from_s)))
    usage, events = cell.table("usage"), cell.table("events")
    usage = usage.filter(pa.array((numbers(usage, "from_s") <= to_s) & (numbers(usage, "to_s") >= from_s)))
    began_s = numbers(events, "at_s") - np.nan_to_num(numbers(events, "seconds"))
    events = events.filter(pa.array((began_s <= to_s) & (numbers(events, "at_s") >= from_s)))

    rows, slices = _rows([*_stages(events), *_busy(usage)])
    yield _named("process_name", REQUESTS, 0, name="requests")
    for gpu, model in enumerate(cell.facts["gpu_models"]):
        yield _named("process_name", gpu + 2, 0, name=f"GPU {gpu} ({model})")
    for (gpu, row), thread in rows.items():
        yield _named("thread_name", gpu + 2, thread, name=row)
    timed = [*slices, *_asides(events, rows), *_waiting(requests), *_requests(requests), *_memory(usage)]
    yield from sorted(timed, key=lambda event: event["ts"])


def _named(what: str, process: int, thread: int, **about: Any) -> TraceEvent:
    return {"ph": "M", "name": what, "pid": process, "tid": thread, "args": about}


def _us(at_s: float) -> float:
    return round(at_s * 1e6, 3)


def _row(instance: int, function: str) -> str:
    return f"instance {instance}" + (f" of {function}" if function else "")


def _stages(events: pa.Table) -> Iterator[Slice]:
    """Start-up stages of instances and loads of backbones, adapters and the rest of a pipeline's model."""
    kind = words(events, "kind").are("stage_finished", "backbone_loaded", "adapter_loaded", "pipeline_gathered")
    for event in events.filter(pa.array(kind)).to_pylist():
        about = {name: event[name] for name in ("source", "bytes", "on_demand") if event[name]}
        if event["kind"] == "backbone_loaded":
            row, name = f"backbone {event['function']}", "load"
        elif event["kind"] == "pipeline_gathered":
            row, name = _row(event["instance"], event["function"]), "the rest of its model"
        else:
            row, name = _row(event["instance"], event["function"]), event["stage"] or f"adapter {event['function']}"
        span = event["at_s"] - event["seconds"], event["at_s"]
        yield Slice(event["gpu"], row, *span, name, "start-up", about)


def _busy(usage: pa.Table) -> Iterator[Slice]:
    """The stretches in which an instance computes, those that touch as one."""
    mine = words(usage, "holder").are("instance") & words(usage, "state").are("busy")
    open_: dict[tuple[int, str], tuple[float, float]] = {}
    for one in usage.filter(pa.array(mine)).sort_by("from_s").to_pylist():
        key = one["gpu"], _row(one["id"], one["function"])
        begin_s, end_s = open_.get(key, (one["from_s"], one["from_s"]))
        if end_s < one["from_s"]:
            yield Slice(*key, begin_s, end_s, "busy", "serving", {})
            begin_s = one["from_s"]
        open_[key] = begin_s, one["to_s"]
    for key, span in open_.items():
        yield Slice(*key, *span, "busy", "serving", {})


def _rows(slices: Iterable[Slice]) -> tuple[dict[tuple[int, str], int], list[TraceEvent]]:
    """A thread for each row, and a further one for what lasts while another thing on it does."""
    rows: dict[tuple[int, str], int] = {}
    free_s: dict[int, float] = {}
    drawn: list[TraceEvent] = []
    for one in sorted(slices, key=lambda one: (one.from_s, -one.to_s, one.gpu, one.row)):
        lane, name = 1, one.row
        while (thread := rows.setdefault((one.gpu, name), len(rows) + 1)) in free_s and free_s[thread] > one.from_s:
            lane += 1
            name = f"{one.row} ({lane})"
        free_s[thread] = one.to_s
        times = {"ts": _us(one.from_s), "dur": round(_us(one.to_s) - _us(one.from_s), 3)}
        where = {"pid": one.gpu + 2, "tid": thread}
        drawn.append({"ph": "X", "name": one.name, "cat": one.kind, **where, **times, "args": dict(one.about)})
    return rows, drawn


def _asides(events: pa.Table, rows: Mapping[tuple[int, str], int]) -> Iterator[TraceEvent]:
    """What happened in an instant, with the policy's reason."""
    for event in events.filter(pa.array(words(events, "kind").are(*EVICTED, *FAILED))).to_pylist():
        backbone = event["kind"] in ("backbone_evicted", "backbone_failed")
        row = f"backbone {event['function']}" if backbone else _row(event["instance"], event["function"])
        about = {name: event[name] for name in ("why", "stage", "bytes") if event[name]}
        if event["request"] >= 0:
            about["request"] = event["request"]
        where = {"pid": event["gpu"] + 2, "tid": rows.get((event["gpu"], row), 0)}
        name = event["kind"].replace("_", " ")
        cat = "failure" if event["kind"] in FAILED else "policy"
        yield {"ph": "i", "s": "t", "name": name, "cat": cat, **where, "ts": _us(event["at_s"]), "args": about}


def _requests(requests: pa.Table) -> Iterator[TraceEvent]:
    """A row for each request, with its phases within."""
    about = ("function", "prompt_tokens", "output_tokens", "outcome", "instance", "gpu", "batch", "cold", "why")
    shown = [name for name in about if name in requests.column_names]
    for one in requests.to_pylist():
        row = {"cat": "request", "id": str(one["request"]), "pid": REQUESTS, "tid": 0}
        name = f"request {one['request']} of {one['function']}"
        yield {"ph": "b", "name": name, **row, "ts": _us(one["arrived_s"]), "args": {key: one[key] for key in shown}}
        began = [(phase, one[column]) for phase, column in PHASES if one[column] == one[column]]
        for (phase, at_s), until_s in zip(began, [*(at for _, at in began[1:]), one["last_s"]], strict=True):
            if until_s > at_s:
                yield {"ph": "b", "name": phase, **row, "ts": _us(at_s)}
                yield {"ph": "e", "name": phase, **row, "ts": _us(until_s)}
        yield {"ph": "e", "name": name, **row, "ts": _us(one["last_s"])}


def _waiting(requests: pa.Table) -> Iterator[TraceEvent]:
    """How many requests of a function have arrived and not begun, at each change."""
    function, arrived_s = requests["function"].to_pylist(), numbers(requests, "arrived_s")
    started_s = numbers(requests, "started_s")
    until_s = np.where(np.isnan(started_s), numbers(requests, "last_s"), started_s)
    changes = sorted(
        (float(at_s), name, step)
        for times, step in ((arrived_s, 1), (until_s, -1))
        for at_s, name in zip(times, function, strict=True)
    )
    waiting: dict[str, int] = {}
    for at_s, name, step in changes:
        waiting[name] = waiting.get(name, 0) + step
        where = {"pid": REQUESTS, "tid": 0, "ts": _us(at_s)}
        yield {"ph": "C", "name": f"waiting: {name}", **where, "args": {"requests": waiting[name]}}


def _memory(usage: pa.Table) -> Iterator[TraceEvent]:
    """The bytes that instances and backbones hold on a GPU, at each change; 0 where it is left empty."""
    last_s = max(numbers(usage, "to_s"), default=0.0)
    held = occupancy(usage, last_s)
    columns = held.gpu, held.from_s, held.to_s, held.instance_bytes, held.backbone_bytes
    stretches = [tuple(column.item() for column in row) for row in zip(*columns, strict=True)]
    for at, (gpu, begin_s, end_s, instances, backbones) in enumerate(stretches):
        yield _held(gpu, begin_s, instances, backbones)
        if at + 1 == len(stretches) or stretches[at + 1][:2] != (gpu, end_s):
            yield _held(gpu, end_s, 0, 0)


def _held(gpu: int, at_s: float, instances: int, backbones: int) -> TraceEvent:
    sizes = {"backbones": backbones / 1e9, "instances": instances / 1e9}
    return {"ph": "C", "name": "device memory (GB)", "pid": gpu + 2, "tid": 0, "ts": _us(at_s), "args": sizes}
