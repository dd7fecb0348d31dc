"""Requests per second of whole runs against bare SimPy time-outs per second, of CPU time, measured in turn.

100,000 requests of the Normal trace model, scaled to one request per second in all, on the quickstart's cluster. The
clock runs from after the trace is made until the Parquet files are closed; checks and recording are on.

    python -m benchmarks.request_level [SYSTEM ...] [--requests N] [--repeats N]
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import simpy

from simlora.cluster.config import ClusterConfig
from simlora.engine import RunRecord, Simulation
from simlora.entities import Function
from simlora.study.functions import make_functions, read_functions
from simlora.systems import list_systems, load_system
from simlora.workload import Workload, build_workload

FUNCTIONS = Path(__file__).parents[1] / "experiments" / "quickstart" / "functions.csv"
TRACE = "model/azure-2019-normal"
TIMEOUTS = 500_000
SEED = 1


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


def one_per_second(names: list[str], requests: int) -> Workload:
    """``requests`` requests at one per second in all, in the Normal model's pattern."""

    def build(duration_s: float, rate_scale: float) -> Workload:
        return build_workload(
            trace=TRACE, functions=names, duration_s=duration_s, rate_scale=rate_scale, seed=SEED, base_dir=Path()
        )

    duration_s = requests * 1.3
    workload = build(duration_s, duration_s / len(build(duration_s, 1.0)))
    first = {name: getattr(workload, name)[:requests] for name in ("function", "prompt_tokens", "output_tokens")}
    arrived_s = workload.arrived_s[:requests] * requests / workload.arrived_s[requests - 1]
    return Workload(
        arrived_s=arrived_s, max_new_tokens=workload.max_new_tokens[:requests], provenance=workload.provenance, **first
    )


def run_once(system: str, requests: int) -> tuple[float, float, float, float]:
    """Requests per second, bytes of memory added per request, mean batch, cold share.

    A short run comes first, so that what is loaded once counts neither as time nor as memory of a request.
    """
    functions = make_functions(read_functions(FUNCTIONS), FUNCTIONS.parent)
    workload = one_per_second([function.id for function in functions], requests)
    replay(system, functions, one_per_second([function.id for function in functions], 500))
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    record = replay(system, functions, workload)
    per_s = requests / (time.process_time() - began)
    added_bytes = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib) * 1024
    batch = float(np.mean(record.requests["batch"].to_numpy()))
    cold = float(np.mean(record.requests["cold"].to_numpy(zero_copy_only=False)))
    return per_s, added_bytes / requests, batch, cold


def replay(system: str, functions: list[Function], workload: Workload) -> RunRecord:
    """One run, written to disk."""
    simulation = Simulation(
        load_system(system),
        functions=functions,
        workload=workload,
        cluster=ClusterConfig(),
        profile="l40s",
        seed=SEED,
        base_dir=Path(),
    )
    record = simulation.run()
    with tempfile.TemporaryDirectory() as folder:
        record.write(Path(folder))
    return record


def main() -> None:
    """Print one line per system."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("systems", nargs="*", metavar="SYSTEM", help="default: serverless-lora")
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    systems = asked.systems or ["serverless-lora"]
    for system in systems:
        if system not in list_systems():
            parser.error(f"no system named {system!r}; there are {', '.join(list_systems())}")
    if asked.once:
        print(*run_once(systems[0], asked.requests))
        return
    print(f"{asked.requests} requests at 1 req/s, median of {asked.repeats}, bare SimPy measured before each run")
    print("system            requests/s   bare SimPy/s   bare SimPy /   bytes/request   mean batch   cold")
    for system in systems:
        runs = []
        for _ in range(asked.repeats):
            bare = bare_simpy_per_s()
            command = [sys.executable, "-m", "benchmarks.request_level", system, "--once"]
            out = subprocess.run(
                [*command, "--requests", str(asked.requests)], capture_output=True, check=True, text=True
            )
            runs.append((bare, *map(float, out.stdout.split())))
        bare, per_s, memory, batch, cold = (statistics.median(column) for column in zip(*runs, strict=True))
        ratio = statistics.median(run[0] / run[1] for run in runs)
        print(f"{system:16} {per_s:11,.0f} {bare:14,.0f} {ratio:14.0f} {memory:15,.0f} {batch:12.2f} {cold:6.1%}")


if __name__ == "__main__":
    main()
