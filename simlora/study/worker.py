"""One cell, run in whatever process it is handed to."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simlora.errors import SimloraError
from simlora.study.grid import Cell
from simlora.study.places import blame
from simlora.study.store import Store
from simlora.study.systems import beside
from simlora.study.time_limit import OutOfTime, time_limit
from simlora.study.watch import watched
from simlora.study.workloads import workload_of

if TYPE_CHECKING:
    from simlora.engine import RunRecord
    from simlora.workload import Workload


@dataclass(frozen=True)
class Outcome:
    """How a cell ended: ``error`` is empty if it is finished; ``fatal`` if no other cell could be kept either."""

    cell: Cell
    error: str = ""
    fatal: bool = False


def parts_of(cell: Cell, workload: Workload, stepwise: bool = False) -> dict[str, Any]:
    """What :class:`~simlora.engine.Simulation` is made of in a cell that runs on ``workload``, by keyword."""
    system, base_dir = cell.config, Path(cell.base_dir)
    return {
        "system": system.model_copy(update={"engine": beside(system.engine, base_dir)}),
        "functions": cell.functions,
        "workload": workload,
        "cluster": cell.cluster,
        "profile": beside(cell.settings["profile"], base_dir),
        "seed": cell.seed,
        "base_dir": base_dir,
        "stepwise": stepwise,
        "failures": cell.failures,
    }


def simulate_cell(
    cell: Cell, workload: Workload, stepwise: bool = False, progress: Callable[[float], None] | None = None
) -> RunRecord:
    """The record of a cell's run on ``workload``."""
    from simlora.engine import relax, simulate

    evaluate = {"simulation": simulate, "relaxation": relax}
    parts = parts_of(cell, workload, stepwise)
    with warnings.catch_warnings():
        # What lies beyond the measured range is counted in the record and shown in the trust box.
        warnings.simplefilter("ignore")
        record: RunRecord = evaluate[parts["system"].evaluation](
            **parts, horizon_s=cell.settings["horizon_s"], progress=progress
        )
    return replace(record, facts={**record.facts, "duration_s": cell.settings["workload"]["duration_s"]})


@dataclass(frozen=True)
class Terms:
    """How cells are run: into which folder, one engine step at a time or not, for how many seconds at most."""

    out: Path
    stepwise: bool
    limit_s: float | None


def run_cell(cell: Cell, key: str, terms: Terms, progress: Callable[[float], None] | None = None) -> Outcome:
    """Simulate a cell and keep its record; an error of one cell is its outcome and stops no other."""
    try:
        with watched(cell, terms.out) as done:
            return _run(cell, key, terms, progress or of_a_run(cell, done))
    except SimloraError as error:
        return Outcome(cell, str(error), fatal=True)


def of_a_run(cell: Cell, done: Callable[[float], None]) -> Callable[[float], None]:
    """What takes a run's simulated time and says which share of the run that is."""
    duration_s = cell.settings["workload"]["duration_s"]
    return lambda now_s: done(min(now_s / duration_s, 1.0))


def _run(cell: Cell, key: str, terms: Terms, progress: Callable[[float], None] | None) -> Outcome:
    try:
        with time_limit(terms.limit_s):
            workload = workload_of(cell.settings["workload"], cell.base_dir)
            record = simulate_cell(cell, workload, terms.stepwise, progress)
    except SimloraError as error:
        return Outcome(cell, str(error))
    except (Exception, SystemExit, OutOfTime) as error:
        return Outcome(cell, blame(error, Path(cell.base_dir)))
    Store(terms.out).put(cell, key, record)
    return Outcome(cell)
