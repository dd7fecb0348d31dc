"""Continuous batching against bare SimPy time-outs, of CPU time, measured in turn, on peers' common workload.

Per GPU 5 requests/s, Poisson, prompts uniform from 192 to 768 tokens, outputs uniform from 64 to 256, Llama-2-7B on an
A100, 16 adapters in 8 slots (S-LoRA has no slots): 10,000 requests on one GPU, or 100,000 on 16. ``--stepwise`` stops
at every engine iteration.

    python -m benchmarks.iteration_level [SYSTEM ...] [--gpus N] [--requests N] [--repeats N] [--stepwise]
"""

from __future__ import annotations

import argparse
import re
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.in_turn import HEADER, measure, print_row, row
from simlora.cluster.config import ClusterConfig
from simlora.engine import Simulation
from simlora.latency import engines
from simlora.systems import load_system
from simlora.testing.scenario import make_functions
from simlora.workload import Workload

RATE_PER_GPU_S = 5.0
PROMPTS, OUTPUTS = (192, 768), (64, 256)
ADAPTERS, SLOTS = 16, 8
SEED = 1


def common(gpus: int, requests: int) -> Workload:
    """The requests, each of an adapter drawn from all alike."""
    rng = np.random.default_rng(SEED)
    lengths = [rng.integers(low, high + 1, requests, dtype=np.int32) for low, high in (PROMPTS, OUTPUTS)]
    return Workload(
        arrived_s=np.cumsum(rng.exponential(1.0 / (RATE_PER_GPU_S * gpus), requests)),
        function=rng.integers(0, ADAPTERS, requests, dtype=np.int32),
        prompt_tokens=lengths[0],
        output_tokens=lengths[1],
        max_new_tokens=np.full(requests, OUTPUTS[1], np.int32),
        provenance="synthetic: the common workload",
    )


def simulation(system: str, gpus: int, stepwise: bool, requests: int) -> Simulation:
    """Ready to run."""
    engine = load_system(system).engine
    shipped = (Path(engines.__file__).parent / "engines" / f"{engine}.toml").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        slots = Path(folder) / f"{engine}.toml"
        slots.write_text(re.sub(r"(?m)^(max_loras|max_cpu_loras) = .*$", rf"\1 = {SLOTS}", shipped), encoding="utf-8")
        return Simulation(
            load_system(system, {"engine": str(slots)}),
            functions=make_functions(*["llama-2-7b"] * ADAPTERS),
            workload=common(gpus, requests),
            cluster=ClusterConfig(nodes=max(1, gpus // 8), gpus_per_node=min(gpus, 8)),
            profile="a100-sxm-80gb",
            seed=SEED,
            base_dir=Path(),
            stepwise=stepwise,
        )


def main() -> None:
    """Print one line per system."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("systems", nargs="*", metavar="SYSTEM", help="default: vllm s-lora")
    parser.add_argument("--gpus", type=int, default=1)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--stepwise", action="store_true")
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    systems = asked.systems or ["vllm", "s-lora"]
    if asked.once:
        print(*measure(partial(simulation, systems[0], asked.gpus, asked.stepwise), asked.requests))
        return
    print(f"{asked.requests} requests on {asked.gpus} GPUs, median of {asked.repeats}, bare SimPy before each run")
    print(f"{'system':34} {HEADER}")
    options = ["--once", "--gpus", str(asked.gpus), "--requests", str(asked.requests)]
    options += ["--stepwise"] if asked.stepwise else []
    for system in systems:
        print_row(row(system, ["benchmarks.iteration_level", system, *options], asked.repeats))


if __name__ == "__main__":
    main()
