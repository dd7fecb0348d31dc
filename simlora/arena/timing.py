"""How long a policy takes to decide, in processor time: kept apart from results because no two runs have the same."""

from __future__ import annotations

import csv
import time
import warnings
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from simlora.policies.base import ASKED
from simlora.study.grid import Cell, Group
from simlora.study.hashing import cell_key
from simlora.study.progress import Progress
from simlora.study.store import one_message
from simlora.study.worker import parts_of
from simlora.study.workloads import workload_of

FILE = "decision_times.csv"
COLUMNS = ("system", "scenario", "key", "calls", "mean_us", "p99_us")


class DecisionTime(NamedTuple):
    """Calls of a policy in one run, and the microseconds of one."""

    calls: int
    mean_us: float
    p99_us: float


Times = dict[tuple[str, str], DecisionTime]
"""By system and scenario."""


def watch(policy: Any, role: str) -> array[int]:
    """Have each answer of a policy timed; returns the nanoseconds, one for each question from now on.

    The policy becomes one of a subclass, which works for frozen and slotted dataclasses as well.
    """
    took_ns: array[int] = array("q")
    kind, name, now_ns, note = type(policy), ASKED[role], time.thread_time_ns, took_ns.append
    ask = getattr(kind, name)

    def asked(self: Any, *question: Any) -> Any:
        before_ns = now_ns()
        answer = ask(self, *question)
        note(now_ns() - before_ns)
        return answer

    object.__setattr__(policy, "__class__", type(kind.__name__, (kind,), {"__slots__": (), name: asked}))
    return took_ns


def measure(cell: Cell, role: str) -> DecisionTime:
    """Run a cell once more, only to time the policy of ``role``."""
    from simlora.engine import Simulation

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the cell's own run has counted what lies beyond the measured range
        simulation = Simulation(**parts_of(cell, workload_of(cell.settings["workload"], cell.base_dir)))
        took_ns = watch(simulation.policies[role], role)
        simulation.run(cell.settings["horizon_s"])
    if not took_ns:
        return DecisionTime(0, float("nan"), float("nan"))
    took_us = np.frombuffer(took_ns, np.int64) / 1e3
    return DecisionTime(len(took_us), float(took_us.mean()), float(np.quantile(took_us, 0.99)))


def measure_all(cells: Sequence[Cell], digests: Mapping[Group, str], role: str, out: Path, progress: Progress) -> Times:
    """Time the first seed of each system and scenario, one after another in this process.

    What was measured of the very same cell before is taken from ``decision_times.csv``, which is written anew.
    """
    known = _read(out / FILE)
    first = {(cell.system, cell.scenario): cell for cell in reversed(cells) if cell.config.evaluation == "simulation"}
    keys = {place: (*place, cell_key(cell, digests[cell.group])) for place, cell in first.items()}
    times: Times = {}
    progress.begin("decision times", len(first), sum(key in known for key in keys.values()))
    for place, cell in first.items():
        if keys[place] in known:
            times[place] = known[keys[place]]
            continue
        times[place] = measure(cell, role)
        progress.one_more()
    with one_message(out), (out / FILE).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows((*keys[place], *time) for place, time in times.items())
    return times


def _read(path: Path) -> dict[tuple[str, str, str], DecisionTime]:
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        return {
            (row["system"], row["scenario"], row["key"]): DecisionTime(
                int(row["calls"]), float(row["mean_us"]), float(row["p99_us"])
            )
            for row in csv.DictReader(file)
        }
