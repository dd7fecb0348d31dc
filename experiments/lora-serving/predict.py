"""One-hour runs of vLLM with 8 to 256 adapters, predicted: ``python predict.py [--every N]``, ten minutes.

Writes ``results/lora-serving/predicted.csv`` and prints how far off throughput, ITL and TTFT are.
"""

from __future__ import annotations

import argparse
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from simlora.entities import PROJECTIONS, Function
from simlora.latency.models import load_backbone
from simlora.testing.scenario import Scenario
from simlora.workload import Workload

HERE = Path(__file__).parent
OUT = Path("results", "lora-serving")
BACKBONE = str(HERE / "qwen2.5-7b")
DURATION_S = 3600.0
MOST_REQUESTS = 60_000
"""Offered in an hour. Runs with up to twenty times as many are mostly backlog, and left out."""
PROMPT_MEAN, OUTPUT_MEAN, CV, LONGEST = 223, 191, 1.0, 1024
"""Means as measured over all runs; lengths log-normal with this coefficient of variation, an assumption."""
SATURATED_TTFT_MS = 1000.0
METRICS = ("throughput", "itl", "ttft")


def measured_runs(folder: Path) -> pd.DataFrame:
    """The runs whose offered load the simulation can carry, with requests offered per second."""
    runs = pd.read_csv(folder / "serving_1h_qwen_dev.csv")
    each = zip(runs.rates.astype(str), runs.rate_counts.astype(str), strict=True)
    runs["offered"] = [sum(rates_of(rates, counts)) for rates, counts in each]
    return runs[runs.offered * DURATION_S <= MOST_REQUESTS].reset_index(drop=True)


def rates_of(rates: str, counts: str) -> list[float]:
    """Requests per second of each adapter, from the rates and of how many adapters each is."""
    return [float(rate) for rate, count in zip(rates.split(), counts.split(), strict=True) for _ in range(int(count))]


def predicted(run: Any, seed: int) -> dict[str, float]:
    """Output tokens/s of finished requests, mean ITL and TTFT in ms of those, as the benchmark's client counts them."""
    ranks = [int(rank) for rank in str(run.adapter_ranks_cycle).split()]
    rates = rates_of(run.rates, run.rate_counts)
    made = scenario(rates, ranks, run.max_loras, run.max_cpu_loras, seed)
    requests = made.simulation().run(horizon_s=DURATION_S).requests.to_pandas()
    done = requests[requests.finished_s <= DURATION_S]
    gaps_s = (done.finished_s - done.first_token_s).sum() / (done.output_tokens - 1).sum()
    return {
        "finished": len(done),
        "throughput": done.output_tokens.sum() / DURATION_S,
        "itl": gaps_s * 1e3,
        "ttft": (done.first_token_s - done.arrived_s).mean() * 1e3,
    }


def scenario(rates: list[float], ranks: list[int], slots: int, host_slots: int, seed: int) -> Scenario:
    """An adapter for each of the rates, of the ranks in turn, on an engine with so many slots."""
    backbone = load_backbone(BACKBONE)
    functions = [Function(i, f"a{i}", backbone, ranks[i % len(ranks)], PROJECTIONS, 10.0) for i in range(len(rates))]
    OUT.mkdir(parents=True, exist_ok=True)
    engine = OUT / f"engine-{slots}-{host_slots}.toml"
    text = (HERE / "vllm-0.8.5-qwen.toml").read_text(encoding="utf-8")
    engine.write_text(text + BATCHING.format(slots=slots, host=host_slots), encoding="utf-8")
    overrides = {"engine": str(engine), "batching.max_num_seqs": 2048}
    requests = traffic(np.random.default_rng([seed, 20_250_808]), rates)
    return Scenario("vllm", functions, requests, overrides, profile=str(HERE / "h100-64gb.toml"), seed=seed)


BATCHING = """
[batching]
padded = false
step_tokens = 2048
max_loras = {slots}
max_cpu_loras = {host}
label = "public-table"
source = "the run's own settings"
valid = "this run"
"""


def traffic(rng: np.random.Generator, rates: list[float]) -> Workload:
    """Poisson arrivals of each adapter, lengths drawn independently."""
    counts = rng.poisson(np.array(rates) * DURATION_S)
    function = np.repeat(np.arange(len(rates)), counts)
    arrived = rng.uniform(0, DURATION_S, counts.sum())
    order = np.argsort(arrived, kind="stable")
    prompt, output = (lengths(rng, len(order), mean) for mean in (PROMPT_MEAN, OUTPUT_MEAN))
    provenance = "Poisson, log-normal lengths"
    return Workload(arrived[order], function[order].astype(np.int32), prompt, output, output, provenance)


def lengths(rng: np.random.Generator, count: int, mean: float) -> np.ndarray[Any, np.dtype[np.int32]]:
    sigma = np.sqrt(np.log1p(CV**2))
    drawn = np.clip(rng.lognormal(np.log(mean) - sigma**2 / 2, sigma, count), 4, LONGEST)
    return np.asarray(np.maximum(2, np.rint(drawn * mean / drawn.mean())), dtype=np.int32)


def compared(folder: Path, every: int) -> pd.DataFrame:
    """A row per run: what was measured, what is predicted; printed as they come."""
    rows = []
    runs = measured_runs(folder).iloc[::every]
    for at, run in zip(runs.index, runs.itertuples(), strict=True):
        measured = {"throughput": run.out_tok_s, "itl": run.itl_mean_ms, "ttft": run.ttft_mean_ms}
        told = predicted(run, at)
        row = {"rates": run.rates, "adapters": run.n_adapters, "slots": run.max_loras, "width": run.max_lora_rank}
        row |= {"finished": told["finished"], "finished_measured": run.successful}
        rows.append(row | {f"{m}{side}": s[m] for m in METRICS for s, side in ((told, ""), (measured, "_measured"))})
        print(", ".join(f"{name} {value:.4g}" for name, value in rows[-1].items() if name != "rates"), flush=True)
    return pd.DataFrame(rows)


def errors(rows: pd.DataFrame, what: str) -> list[str]:
    """SMAPE, median relative error and bias of each metric."""
    lines = []
    for metric in METRICS:
        told, seen = rows[metric], rows[f"{metric}_measured"]
        smape = (2 * (told - seen).abs() / (told + seen)).mean()
        relative = told / seen - 1
        lines.append(
            f"| {what}, {len(rows)} runs | {metric} | {smape:.1%} | {relative.abs().median():.1%} "
            f"| {relative.abs().quantile(0.9):.1%} | {relative.mean():+.1%} |"
        )
    return lines


def report(rows: pd.DataFrame) -> str:
    """All runs, and apart those whose requests wait for a slot or not."""
    waits = rows.ttft_measured > SATURATED_TTFT_MS
    lines = ["| runs | metric | SMAPE | median error | 90th percentile | bias |", "|---|---|--:|--:|--:|--:|"]
    for what, own in (("all", rows), ("mean TTFT up to 1 s", rows[~waits]), ("above", rows[waits])):
        lines += errors(own, what)
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="only every so many runs")
    every = parser.parse_args().every
    warnings.simplefilter("ignore", UserWarning)
    table = compared(Path(os.environ["SIMLORA_DATA"]) / "calibration" / "lora_dt", every)
    table.to_csv(OUT / "predicted.csv", index=False, float_format="%.6g", lineterminator="\n")
    print(report(table))
