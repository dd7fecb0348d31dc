"""Does a fitted trace model stand for its segment? ``python replicas.py [--segments N] [--system NAME]``.

Each segment is run as it is and as 20 replicas of its fit, each run with one function. Its figures are held against the
replicas' 90 % interval. Needs the environment variable SIMLORA_DATA. Writes one row per segment; prints the shares.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from simlora import ClusterConfig, Function, build_workload, load_backbone, load_system, simulate
from simlora.errors import SimloraError, TraceError
from simlora.results.prices import load_price
from simlora.results.summary import summarise
from simlora.workload import eligible_segments

REPLICAS = 20
LEVELS = (0.05, 0.95)
DURATION_S = 14_400.0
CLUSTER = ClusterConfig(nodes=1, gpus_per_node=2)
FUNCTION = Function(0, "one", load_backbone("llama-2-7b"), 16, ("q_proj", "v_proj"), 2.5)
PRICE = "alibaba-fc-2024-08"
PATTERNS = ("predictable", "normal", "bursty")
FIGURES = {"mean TTFT": "ttft_mean_s", "cold-start share": "cold_share", "cost": "cost_usd"}
NEEDED = 0.8
"""Share of a class's segments that must lie inside their replicas' interval."""


def run(trace: Mapping[str, Any], seed: int, system: str, data_dir: Path) -> dict[str, float]:
    """The figures of merit of one function under one trace."""
    workload = build_workload(trace=trace, functions=[FUNCTION.id], duration_s=DURATION_S, seed=seed, data_dir=data_dir)
    record = simulate(
        load_system(system), functions=[FUNCTION], workload=workload, cluster=CLUSTER, profile="l40s", seed=seed,
        base_dir=Path(),
    )  # fmt: skip
    facts = {**record.facts, "duration_s": DURATION_S}
    window_s = max(DURATION_S, facts["end_s"])
    row = summarise(record.requests, record.usage, facts, [FUNCTION], window_s, [load_price(PRICE)])
    return {**row, "cold_share": row["cold_starts"] / row["requests"]}


def compare(pattern: str, segment: str, system: str, data_dir: Path) -> dict[str, Any]:
    """A segment's figures and their replicas' intervals; chance differs from run to run by the seed alone."""
    named = {"segments": [segment]}
    real = run({"name": f"azure-functions-2019/{pattern}", **named}, 0, system, data_dir)
    model = {"name": f"model/azure-2019-{pattern}", **named}
    replicas = [run(model, seed, system, data_dir) for seed in range(1, REPLICAS + 1)]
    row: dict[str, Any] = {"class": pattern, "segment": segment, "requests": real["requests"]}
    for name, column in FIGURES.items():
        low, high = np.quantile([replica[column] for replica in replicas], LEVELS)
        inside = low <= real[column] <= high
        row |= {name: real[column], f"{name} low": low, f"{name} high": high, f"{name} inside": inside}
    return row


def drawn(count: int, data_dir: Path) -> Iterator[tuple[str, str]]:
    """``count`` segments of each class, picked without replacement; a larger draw begins with the smaller."""
    for place, pattern in enumerate(PATTERNS):
        segments = eligible_segments(data_dir, pattern)
        order = np.random.default_rng(np.random.SeedSequence([0, place])).permutation(len(segments))
        yield from ((pattern, segments[at].id) for at in order[:count])


def compare_all(count: int, system: str, jobs: int, data_dir: Path) -> pd.DataFrame:
    """One row per segment, in the order they were drawn."""
    chosen = list(drawn(count, data_dir))
    work = (delayed(compare)(pattern, segment, system, data_dir) for pattern, segment in chosen)
    rows = []
    for row in Parallel(n_jobs=jobs, return_as="generator")(work):
        rows.append(row)
        print(f"\r{len(rows)} of {len(chosen)} segments", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return pd.DataFrame(rows)


def shares(rows: pd.DataFrame) -> str:
    """The share of segments inside per class, and how wide the intervals are beside the figure, as Markdown."""
    lines = [
        f"| class | segments | {' | '.join(FIGURES)} | all three | median width: {', '.join(FIGURES)} |",
        f"|---|---{'|---' * (len(FIGURES) + 2)}|",
    ]
    for pattern, group in rows.groupby("class", sort=False):
        inside = group[[f"{name} inside" for name in FIGURES]].to_numpy(bool)
        widths = [
            ((group[f"{name} high"] - group[f"{name} low"]) / group[name].where(group[name] > 0)).median()
            for name in FIGURES
        ]
        cells = [f"{share:.1%}{'' if share >= NEEDED else ' (not met)'}" for share in inside.mean(axis=0)]
        together = f"{inside.all(axis=1).mean():.1%}"
        wide = ", ".join(f"{width:.2f}" for width in widths)
        lines.append(f"| {pattern} | {len(group)} | {' | '.join(cells)} | {together} | {wide} |")
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """The command; 2 if the data is missing or damaged."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--segments", type=int, default=200, help="of each class (default 200; there are 206 bursty ones)"
    )
    parser.add_argument("--system", default="serverless-lora")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--out", type=Path, default=Path("results/replicas/segments.csv"))
    options = parser.parse_args(arguments)
    try:
        if not os.environ.get("SIMLORA_DATA"):
            raise TraceError("SIMLORA_DATA is not set; it must name the folder that holds traces/")
        rows = compare_all(options.segments, options.system, options.jobs, Path(os.environ["SIMLORA_DATA"]))
    except SimloraError as error:
        print(error, file=sys.stderr)
        return 2
    options.out.parent.mkdir(parents=True, exist_ok=True)
    rows.to_csv(options.out, index=False)
    print(shares(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
