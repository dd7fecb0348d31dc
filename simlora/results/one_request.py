"""One request of a finished run: where its time went, what was decided, and who held its GPU meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from simlora.errors import ConfigError
from simlora.results.breakdown import phases
from simlora.results.load import Cell
from simlora.results.tables import numbers, words

NOTHING_S = 1e-9
"""What rounding leaves of a phase that did not occur."""
MAKES_ROOM = ("instance_evicted", "instance_stopped", "backbone_evicted")


class Happened(NamedTuple):
    """Something that bears on the request: when, what, and what the policy gave as its reason."""

    at_s: float
    what: str
    why: str = ""


class Held(NamedTuple):
    """A holder of the request's GPU while it waited or ran, and its stretches of (state, from_s, to_s, bytes)."""

    name: str
    own: bool
    spans: tuple[tuple[str, float, float, int], ...]

    def seconds(self, state: str) -> float:
        """How long it was in a state meanwhile."""
        return sum(to_s - from_s for name, from_s, to_s, _ in self.spans if name == state)


@dataclass(frozen=True)
class Story:
    """All that is known of one request; ``phases`` are empty if it did not finish, ``held`` if it reached no GPU."""

    row: Mapping[str, Any]
    phases: Mapping[str, float]
    happened: tuple[Happened, ...]
    held: tuple[Held, ...]
    until_s: float


def story_of(cell: Cell, request: int) -> Story:
    """What a run recorded about a request. Raises :class:`ConfigError` for a request that the run does not have."""
    requests = cell.table("requests")
    if not 0 <= request < requests.num_rows:
        allowed = f"0 to {requests.num_rows - 1}" if requests.num_rows else "none: the run has no requests"
        raise ConfigError(f"--request {request}: no such request in {cell.folder}; there are {allowed}")
    row = requests.slice(request, 1).to_pylist()[0]
    events = cell.table("events")
    seconds: dict[str, float] = {}
    if row["outcome"] == "finished":
        each = phases(requests.slice(request, 1), events)
        seconds = {name: float(values[0]) for name, values in each.items() if values[0] > NOTHING_S}
    ended = [row[name] for name in ("finished_s", "first_token_s", "started_s", "bound_s") if row[name] == row[name]]
    until_s = max(ended, default=float(cell.facts["end_s"]))
    ran = row["gpu"] >= 0 and cell.facts.get("evaluation") != "relaxation"
    held = _held(cell.table("usage"), row, until_s) if ran else ()
    return Story(row, seconds, tuple(_happened(row, events)), held, until_s)


def _happened(row: Mapping[str, Any], events: pa.Table) -> list[Happened]:
    """In the order of time; at one instant what happened to it comes after what happened around it."""
    found = [Happened(row["arrived_s"], f"arrives: {row['prompt_tokens']} tokens, {row['output_tokens']} to come")]
    found += [Happened(event["at_s"], _words(event), event["why"]) for event in _of_note(row, events).to_pylist()]
    where = f"instance {row['instance']} on GPU {row['gpu']}"
    own = [("bound_s", f"goes to {where}", row.get("why", ""))]
    if row["cold"]:
        own.append(("ready_s", f"{where} is up", ""))
    own.append(("started_s", f"its batch of {row['batch']} begins" if row["batch"] else "it begins", ""))
    own += [("first_token_s", "its first token", ""), ("finished_s", "its last token", "")]
    found += [Happened(row[name], what, why) for name, what, why in own if row[name] == row[name]]
    return sorted(found, key=lambda one: one.at_s)


def _of_note(row: Mapping[str, Any], events: pa.Table) -> pa.Table:
    """Events that name the request; until it begins, those of its instance and what came and went on its GPU.

    Of its instance's pipeline also the end, while the request runs.
    """
    at_s, kind = numbers(events, "at_s"), words(events, "kind")
    begun_s, ended_s = (row[name] if row[name] == row[name] else np.inf for name in ("started_s", "finished_s"))
    meanwhile = (at_s >= row["arrived_s"]) & (at_s <= begun_s)
    mine = (numbers(events, "instance") == row["instance"]) & (row["instance"] >= 0)
    near = (numbers(events, "gpu") == row["gpu"]) & meanwhile & kind.are(*MAKES_ROOM, "backbone_loaded")
    meant = numbers(events, "request") == row["request"]
    anyway = kind.are("instance_started", "pipeline_formed") | (kind.are("pipeline_gathered") & (at_s <= ended_s))
    return events.filter(pa.array((mine & (meanwhile | anyway)) | near | meant))


def _words(event: Mapping[str, Any]) -> str:
    of = f"instance {event['instance']} of {event['function'] or 'all'}"
    size = f"{event['bytes'] / 1e9:.2f} GB" if event["bytes"] else ""
    if event["kind"] == "stage_finished":
        source = f" of {size} from {event['source']}" if event["source"] else ""
        return f"{of}: {event['stage']}{source}, {event['seconds']:.2f} s"
    if event["kind"] == "instance_started":
        return f"{of} starts on GPU {event['gpu']}, {'on demand' if event['on_demand'] else 'ahead of demand'}"
    if event["kind"] == "instance_evicted":
        return f"{of} is taken back to before {event['stage']}, {size} free"
    if event["kind"] == "pipeline_formed":
        return f"{of} is to serve in a pipeline"
    if event["kind"] == "pipeline_gathered":
        return f"{of} has loaded the rest of its model, {size} from {event['source']}, in {event['seconds']:.2f} s"
    if event["kind"] == "instance_stopped":
        return f"{of} ends"
    if event["kind"].startswith("backbone"):
        what = "is loaded" if event["kind"] == "backbone_loaded" else "leaves"
        return f"the backbone {event['function']} ({size}) {what} on GPU {event['gpu']}"
    if event["kind"].startswith("adapter"):
        source = f"arrives from {event['source']}"
        becomes = {"adapter_loaded": source, "adapter_evicted": "leaves", "adapter_failed": "cannot be loaded"}
        size = f" ({event['bytes'] / 1e6:.1f} MB)" if event["bytes"] else ""
        return f"the adapter of {event['function']}{size} {becomes[event['kind']]}"
    if event["kind"] == "work_lost":
        where = f"instance {event['instance']} on GPU {event['gpu']}"
        return f"{where} fails, after {event['seconds']:.3f} s with it"
    return "it fails" if event["kind"] == "request_failed" else f"it is {event['kind'].removeprefix('request_')}"


def _held(usage: pa.Table, row: Mapping[str, Any], until_s: float) -> tuple[Held, ...]:
    from_s, to_s = numbers(usage, "from_s"), numbers(usage, "to_s")
    there = words(usage, "holder").are("instance", "backbone") & (numbers(usage, "gpu") == row["gpu"])
    there &= (from_s < until_s) & (to_s > row["arrived_s"])
    spans: dict[tuple[str, int], list[tuple[str, float, float, int]]] = {}
    names: dict[tuple[str, int], str] = {}
    for one in usage.filter(pa.array(there)).to_pylist():
        key = one["holder"], one["id"]
        names[key] = f"{one['holder']} {one['id']}" + (f" of {one['function']}" if one["function"] else "")
        begin_s, end_s = max(one["from_s"], row["arrived_s"]), min(one["to_s"], until_s)
        spans.setdefault(key, []).append((one["state"], begin_s, end_s, one["device_bytes"]))
    own = "instance", row["instance"]
    order = sorted(spans, key=lambda key: (key != own, key[0] != "instance", key[1]))
    return tuple(Held(names[key], key == own, tuple(sorted(spans[key], key=lambda s: s[1]))) for key in order)
