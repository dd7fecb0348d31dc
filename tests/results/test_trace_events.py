"""Timelines: well-formed by the rules of the trace-event format, and true to what the run recorded."""

from __future__ import annotations

import itertools
import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from simlora.results.load import Cell
from simlora.results.tables import numbers, words
from simlora.results.trace_events import TraceEvent, trace_events, write_trace_events
from simlora.systems import list_systems
from simlora.testing.scenario import ROW, Scenario, make_functions, make_workload

ROWS: list[ROW] = [(0.0, 0, 100, 40), (2.0, 0, 60, 20), (2.1, 0, 60, 20), (30.0, 1, 100, 10), (31.0, 1, 80, 30)]
FIELDS = {
    "M": {"args"},
    "X": {"ts", "dur", "cat", "args"},
    "b": {"ts", "cat", "id"},
    "e": {"ts", "cat", "id"},
    "i": {"ts", "s", "cat"},
    "C": {"ts", "args"},
}


def cell_of(folder: Path, system: str) -> Cell:
    cell = Cell(system, "small", "base", 0, folder)
    Scenario(system, make_functions("llama-2-7b", "llama-2-7b"), make_workload(ROWS)).run().write(folder)
    return cell


def check_format(events: list[TraceEvent]) -> None:
    """What the format asks for, phase by phase; nested slices of a thread lie wholly within one another."""
    names: set[tuple[int, int]] = set()
    threads: dict[tuple[int, int], list[tuple[float, float]]] = defaultdict(list)
    open_: dict[tuple[str, str], list[str]] = defaultdict(list)
    for event in events:
        assert {"ph", "name", "pid", "tid"} | FIELDS[event["ph"]] <= event.keys()
        assert event.get("ts", 0.0) >= 0.0
        where = event["pid"], event["tid"]
        if event["ph"] == "M":
            names.add(where)
        if event["ph"] == "X":
            assert event["dur"] >= 0.0
            threads[where].append((event["ts"], -event["dur"]))
        if event["ph"] == "b":
            open_[event["cat"], event["id"]].append(event["name"])
        if event["ph"] == "e":
            assert open_[event["cat"], event["id"]].pop() == event["name"]
    assert not any(open_.values()), "every slice that begins ends"
    assert threads.keys() <= names, "every row has a name"
    for spans in threads.values():
        until = [float("inf")]
        for begin, minus_length in sorted(spans):
            while until[-1] <= begin + 1e-3:
                until.pop()
            assert begin - minus_length <= until[-1] + 2e-3
            until.append(begin - minus_length)
    times = [event["ts"] for event in events if "ts" in event]
    assert times == sorted(times)


@pytest.mark.parametrize("system", list_systems())
def test_every_system_s_timeline_is_well_formed_and_every_request_is_on_it(system: str, tmp_path: Path) -> None:
    cell = cell_of(tmp_path, system)
    events = list(trace_events(cell))
    check_format(events)
    begun = [event for event in events if event["ph"] == "b" and event["name"].startswith("request ")]
    assert sorted(int(event["id"]) for event in begun) == list(range(len(ROWS)))


def test_it_shows_what_the_run_recorded(tmp_path: Path) -> None:
    cell = cell_of(tmp_path, "serverless-lora")
    events = list(trace_events(cell))
    recorded = cell.table("events")
    stages = recorded.filter(words(recorded, "kind").are("stage_finished"))
    shown = [event for event in events if event.get("cat") == "start-up" and event["name"] != "load"]
    assert Counter(event["name"] for event in shown) == Counter(stages["stage"].to_pylist())
    assert sum(event["dur"] for event in shown) == pytest.approx(1e6 * float(numbers(stages, "seconds").sum()))
    usage = cell.table("usage")
    busy = words(usage, "holder").are("instance") & words(usage, "state").are("busy")
    seconds = (numbers(usage, "to_s") - numbers(usage, "from_s"))[busy].sum()
    assert sum(event["dur"] for event in events if event["name"] == "busy") == pytest.approx(1e6 * seconds)
    memory = [event for event in events if event["name"].startswith("device memory")]
    held = sum((b["ts"] - a["ts"]) / 1e6 * sum(a["args"].values()) * 1e9 for a, b in itertools.pairwise(memory))
    byte_s = (numbers(usage, "device_bytes") * (numbers(usage, "to_s") - numbers(usage, "from_s"))).sum()
    assert held == pytest.approx(byte_s)
    assert sum(memory[-1]["args"].values()) == 0.0
    waits = [event["args"]["requests"] for event in events if event["name"] == "waiting: f0"]
    assert max(waits) == 3
    assert waits[-1] == 0


def test_a_window_leaves_out_what_lies_outside(tmp_path: Path) -> None:
    cell = cell_of(tmp_path, "vllm")
    whole = list(trace_events(cell))
    part = list(trace_events(cell, from_s=30.5, to_s=31.5))
    check_format(part)
    assert 0 < len(part) < len(whole)
    assert {event["id"] for event in part if event["ph"] == "b"} <= {"3", "4"}


def test_the_file_is_json_with_an_event_a_line(tmp_path: Path) -> None:
    cell = cell_of(tmp_path, "serverless-llm")
    count = write_trace_events(cell, tmp_path / "trace.json")
    text = (tmp_path / "trace.json").read_text(encoding="utf-8")
    read: dict[str, Any] = json.loads(text)
    assert read["traceEvents"] == list(trace_events(cell))
    assert count == len(read["traceEvents"]) == text.count("\n") - 2
