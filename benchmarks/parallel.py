"""Two jobs of one experiment against two independent runs of half of it each, by the wall clock, measured in turn.

python -m benchmarks.parallel [--duration-s S] [--repeats N]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

FUNCTIONS = Path(__file__).parents[1] / "experiments" / "quickstart" / "functions.csv"
SEEDS = (0, 1)
TWINS = 4
"""Runs of each seed, so that starting a process is not what is measured."""


def experiment(duration_s: float, seeds: Sequence[int], folder: Path) -> list[str]:
    """The start of a command that runs each of these seeds several times; its file and results lie in ``folder``."""
    scenarios = "".join(
        f'[[scenario]]\nname = "{name}"\ntrace = "model/azure-2019-normal"\nduration_s = {duration_s}\n'
        for name in map(str, range(TWINS))
    )
    head = f'seeds = {list(seeds)}\nfunctions = "{FUNCTIONS}"\nprices = ["alibaba-fc-2024-08"]\nprofile = "l40s"\n'
    folder.mkdir()
    file = folder / "experiment.toml"
    file.write_text(f'{head}{scenarios}[[system]]\nuse = "serverless-lora"\n', encoding="utf-8")
    return [sys.executable, "-m", "simlora.cli", "run", str(file), "--fresh", "--out", str(folder / "results")]


def took_s(commands: Sequence[Sequence[str]]) -> float:
    """Until the last of them has ended."""
    began_s = time.monotonic()
    running = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for command in commands]
    codes = [process.wait() for process in running]
    if any(codes):
        raise RuntimeError(f"failed with {codes}: {commands}")
    return time.monotonic() - began_s


def main() -> None:
    """Print the share of two independent processes' speed that two jobs reach."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--duration-s", type=float, default=14_400.0)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        halves = [experiment(asked.duration_s, [seed], folder / str(seed)) for seed in SEEDS]
        whole = experiment(asked.duration_s, SEEDS, folder / "both")
        for _ in range(asked.repeats):
            apart_s = took_s([[*half, "--jobs", "1"] for half in halves])
            together_s = took_s([[*whole, "--jobs", "2"]])
            found.append(apart_s / together_s)
            print(f"two processes {apart_s:6.1f} s, two jobs {together_s:6.1f} s: {found[-1]:.0%}", flush=True)
    print(f"two jobs reach {statistics.median(found):.0%} of two independent processes, median of {asked.repeats}")


if __name__ == "__main__":
    main()
