"""Runs measured in turn with bare SimPy time-outs, by CPU time, each in a process of its own."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import simpy

from simlora.engine import RunRecord, Simulation

TIMEOUTS = 500_000
HEADER = "   requests/s   bare SimPy/s   bare SimPy /   bytes/request   peak MiB   mean batch    cold"


class Measured(NamedTuple):
    """Of one run: requests per second, bytes of memory added per request, the most memory the process had (MiB),
    mean batch, cold share."""

    per_s: float
    added_bytes: float
    peak_mib: float
    batch: float
    cold: float


def bare_simpy_per_s() -> float:
    """Time-outs per second of one process that does nothing else."""
    env = simpy.Environment()

    def process() -> object:
        for _ in range(TIMEOUTS):
            yield env.timeout(1)

    env.process(process())  # type: ignore[arg-type]
    began = time.process_time()
    env.run()
    return TIMEOUTS / (time.process_time() - began)


def measure(make: Callable[[int], Simulation], requests: int) -> Measured:
    """A run of ``make(requests)``.

    The clock runs from after it is made until its files are closed. A short run comes first, so that what is loaded
    once counts neither as time nor as memory of a request.
    """
    simulation = make(requests)
    _run(make(500))
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    record = _run(simulation)
    per_s = requests / (time.process_time() - began)
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    batch = float(np.mean(record.requests["batch"].to_numpy()))
    cold = float(np.mean(record.requests["cold"].to_numpy(zero_copy_only=False)))
    return Measured(per_s, (peak_kib - before_kib) * 1024 / requests, peak_kib / 1024, batch, cold)


def _run(simulation: Simulation) -> RunRecord:
    record = simulation.run()
    with tempfile.TemporaryDirectory() as folder:
        record.write(Path(folder))
    return record


class Row(NamedTuple):
    """Medians of runs in turn; ``ratio`` is bare SimPy's time-outs per second over requests per second."""

    title: str
    ratio: float
    bare_per_s: float
    of: Measured


def row(title: str, once: Sequence[str], repeats: int) -> Row:
    """Of ``repeats`` runs of a module and its arguments, which print what :func:`measure` returns."""
    runs = []
    for _ in range(repeats):
        bare = bare_simpy_per_s()
        out = subprocess.run([sys.executable, "-m", *once], capture_output=True, check=True, text=True)
        runs.append((bare, Measured(*map(float, out.stdout.split()))))
    of = Measured(*(statistics.median(column) for column in zip(*(run for _, run in runs), strict=True)))
    ratio = statistics.median(bare / run.per_s for bare, run in runs)
    return Row(title, ratio, statistics.median(bare for bare, _ in runs), of)


def print_row(found: Row) -> None:
    """One line under :data:`HEADER`."""
    of = found.of
    speed = f"{found.title:34} {of.per_s:12,.0f} {found.bare_per_s:14,.0f} {found.ratio:14.0f}"
    print(f"{speed} {of.added_bytes:15,.0f} {of.peak_mib:10,.0f} {of.batch:12.2f} {of.cold:7.1%}", flush=True)
