"""A day of a cloud, and what grows with functions, GPUs and requests, against bare SimPy time-outs, of CPU time.

``day``: Azure Functions 2019, 635 functions alternating between Llama-2-7B and 13B, GSM8K lengths, 64 L40S: 1.23
million requests, of real data (SIMLORA_DATA). ``huge``: 10,000 functions by Zipf's law on 1,000 GPUs, 1 million
requests. ``functions``, ``gpus`` and ``requests``: one of them grows, the load of a GPU staying the same.

    python -m benchmarks.scale day|huge|functions|gpus|requests ... [--system NAME] [--share PART] [--repeats N]
"""

from __future__ import annotations

import argparse
import os
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.in_turn import HEADER, measure, print_row, row
from simlora.cluster.config import ClusterConfig
from simlora.engine import Simulation
from simlora.systems import list_systems, load_system
from simlora.testing.scenario import make_functions
from simlora.workload import Workload, build_workload

SEED = 1
DAY_S = 86_400.0
RATE_PER_GPU_S = 1 / 16
"""That of the quickstart's cluster at one request per second."""
ZIPF_EXPONENT = 1.0


class SetUp(NamedTuple):
    """``day``: the real one; otherwise synthetic."""

    functions: int
    gpus: int
    requests: int
    day: bool = False


SET_UPS = {
    "day": [SetUp(635, 64, 1_233_324, day=True)],
    "huge": [SetUp(10_000, 1_000, 1_000_000)],
    "functions": [SetUp(functions, 64, 50_000) for functions in (10, 100, 1_000, 10_000)],
    "gpus": [SetUp(1_000, gpus, 50_000) for gpus in (16, 64, 256, 1_000)],
    "requests": [SetUp(100, 16, requests) for requests in (10_000, 100_000, 1_000_000)],
}


def traffic(set_up: SetUp, requests: int) -> Workload:
    """The first ``requests`` requests."""
    trace: str | dict[str, object] = "azure-functions-2019/day"
    duration_s = DAY_S
    if not set_up.day:
        rate_per_s = set_up.gpus * RATE_PER_GPU_S
        trace = {"name": "zipf", "rate_per_s": rate_per_s, "exponent": ZIPF_EXPONENT}
        duration_s = (requests + 5 * requests**0.5) / rate_per_s
    data = os.environ.get("SIMLORA_DATA")
    names = [f"f{row}" for row in range(set_up.functions)]
    whole = build_workload(
        trace=trace, functions=names, duration_s=duration_s, seed=SEED, data_dir=Path(data) if data else None
    )
    columns = ("arrived_s", "function", "prompt_tokens", "output_tokens", "max_new_tokens")
    first = {name: getattr(whole, name)[:requests].copy() for name in columns}
    return Workload(**first, provenance=whole.provenance)


def simulation(set_up: SetUp, system: str, requests: int) -> Simulation:
    """Ready to run."""
    backbones = ["llama-2-7b", "llama-2-13b"] * ((set_up.functions + 1) // 2)
    return Simulation(
        load_system(system),
        functions=make_functions(*backbones[: set_up.functions]),
        workload=traffic(set_up, requests),
        cluster=ClusterConfig(nodes=set_up.gpus // 8, gpus_per_node=8),
        profile="l40s",
        seed=SEED,
        base_dir=Path(),
    )


def main() -> None:
    """Print one line per set-up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", choices=SET_UPS, metavar="SET-UP")
    parser.add_argument("--system", default="serverless-lora", choices=list_systems(), metavar="SYSTEM")
    parser.add_argument("--share", type=float, default=1.0, help="of each set-up's requests, the first ones")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--once", type=int, default=None, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    names = asked.names
    if asked.once is not None:
        set_up = SET_UPS[names[0]][asked.once]
        print(*measure(partial(simulation, set_up, asked.system), int(set_up.requests * asked.share)))
        return
    print(f"{asked.system}, median of {asked.repeats}, bare SimPy before each run")
    print(f"{'functions x GPUs x requests':34} {HEADER}")
    for name in names:
        for number, (functions, gpus, requests, _) in enumerate(SET_UPS[name]):
            once = [name, "--once", str(number), "--system", asked.system, "--share", str(asked.share)]
            title = f"{functions:,} x {gpus:,} x {int(requests * asked.share):,}"
            print_row(row(title, ["benchmarks.scale", *once], asked.repeats))


if __name__ == "__main__":
    main()
