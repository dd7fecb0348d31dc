"""``python -m calibrate.measure``: measure this machine, or go on with it."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

try:
    import torch
except ModuleNotFoundError:
    sys.exit("python -m calibrate.measure needs torch and numpy: pip install torch numpy")

from calibrate.measure.bench import Bench
from calibrate.measure.plan import Plan
from calibrate.measure.shapes import load_shape
from calibrate.measure.suite import PARTS, Suite

QUICK_S, FULL_S, CPU_S = 0.05, 0.3, 0.01
"""Seconds spent on one figure, at most about."""
NOT_DONE = 3


def main() -> int:
    """0 if everything asked for is measured, 3 if time ran out before."""
    parser = argparse.ArgumentParser(prog="python -m calibrate.measure", description=__doc__)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--models", help="names or paths of config.json, comma-separated (default: by device)")
    parser.add_argument("--out", type=Path, required=True, help="folder of the raw results; an existing one goes on")
    parser.add_argument("--parts", help=f"comma-separated; all: {','.join(PARTS)}")
    parser.add_argument("--minutes", type=float, default=60.0, help="stop before the next case after so long")
    parser.add_argument("--full", action="store_true", help="more points and more samples")
    asked = parser.parse_args()
    names = asked.parts.split(",") if asked.parts else list(PARTS)
    for name in names:
        if name not in PARTS:
            parser.error(f'no part "{name}"; there are {", ".join(PARTS)}')
    if asked.device == "cuda" and not torch.cuda.is_available():
        parser.error("no CUDA device that torch can use; --device cpu measures the processor")
    is_gpu = asked.device == "cuda"
    if not is_gpu:
        # Processes that serve on a processor get a thread each; the children of some parts read the variable.
        torch.set_num_threads(1)
        os.environ["OMP_NUM_THREADS"] = "1"
    models = (asked.models or ("llama-2-7b,llama-2-13b,llama-3.1-8b" if is_gpu else "tiny-llama")).split(",")
    plan = Plan(tuple(load_shape(name) for name in models), is_gpu, asked.full)
    per_figure_s = (FULL_S if asked.full else QUICK_S) if is_gpu else CPU_S
    suite = Suite(Bench(torch.device(asked.device), per_figure_s), plan, asked.out, asked.minutes * 60)
    return 0 if suite.run(names) else NOT_DONE


if __name__ == "__main__":
    sys.exit(main())
