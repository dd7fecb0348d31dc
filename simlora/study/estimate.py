"""How long a grid will take on this machine, from a short pilot of each system."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from simlora.study.grid import Cell, Group
from simlora.study.worker import simulate_cell
from simlora.study.workloads import workload_of

PILOT_REQUESTS = 300


def estimate_minutes(cells: Sequence[Cell], requests: Mapping[Group, int], jobs: int) -> float:
    """Minutes for ``cells``, at least one: seconds per request of a pilot of each system's first, times all requests.

    Runs the first ``PILOT_REQUESTS`` requests of the cell. The pilot's requests are colder than later ones, so the
    estimate tends to be high.
    """
    seconds_per_request: dict[tuple[str, str], float] = {}
    total_s = 0.0
    for cell in cells:
        kind = (cell.system, cell.scenario)
        if kind not in seconds_per_request:
            seconds_per_request[kind] = _pilot(cell)
        total_s += seconds_per_request[kind] * requests[cell.group]
    return total_s / min(jobs, len(cells)) / 60


def _pilot(cell: Cell) -> float:
    workload = workload_of(cell.settings["workload"], cell.base_dir)
    count = min(PILOT_REQUESTS, len(workload))
    columns = ("arrived_s", "function", "prompt_tokens", "output_tokens", "max_new_tokens")
    short = replace(workload, **{name: getattr(workload, name)[:count] for name in columns})
    before_s = time.perf_counter()
    simulate_cell(cell, short)
    return (time.perf_counter() - before_s) / max(count, 1)
