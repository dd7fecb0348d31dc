"""Requests per second of whole runs against bare SimPy time-outs per second, of CPU time, measured in turn.

100,000 requests of the Normal trace model, scaled to one request per second in all, on the quickstart's cluster. The
clock runs from after the trace is made until the Parquet files are closed; checks and recording are on.

    python -m benchmarks.request_level [SYSTEM ...] [--requests N] [--repeats N]
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from benchmarks.in_turn import HEADER, measure, print_row, row
from simlora.cluster.config import ClusterConfig
from simlora.engine import Simulation
from simlora.study.functions import make_functions, read_functions
from simlora.systems import list_systems, load_system
from simlora.workload import Workload, build_workload

FUNCTIONS = Path(__file__).parents[1] / "experiments" / "quickstart" / "functions.csv"
TRACE = "model/azure-2019-normal"
SEED = 1


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


def simulation(system: str, requests: int) -> Simulation:
    """Ready to run."""
    functions = make_functions(read_functions(FUNCTIONS), FUNCTIONS.parent)
    return Simulation(
        load_system(system),
        functions=functions,
        workload=one_per_second([function.id for function in functions], requests),
        cluster=ClusterConfig(),
        profile="l40s",
        seed=SEED,
        base_dir=Path(),
    )


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
        print(*measure(partial(simulation, systems[0]), asked.requests))
        return
    print(f"{asked.requests} requests at 1 req/s, median of {asked.repeats}, bare SimPy measured before each run")
    print(f"{'system':34} {HEADER}")
    for system in systems:
        once = ["benchmarks.request_level", system, "--once", "--requests", str(asked.requests)]
        print_row(row(system, once, asked.repeats))


if __name__ == "__main__":
    main()
