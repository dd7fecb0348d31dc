"""How far a prediction was off: distributions of requests, stages of starts, memory, GPU time and cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from simlora.results.load import Results
from simlora.results.tables import Floats
from simlora.study.summary import Row

STATISTICS: dict[str, Callable[[Floats], float]] = {
    "mean": lambda x: float(np.mean(x)),
    "p50": lambda x: float(np.quantile(x, 0.5)),
    "p90": lambda x: float(np.quantile(x, 0.9)),
    "p99": lambda x: float(np.quantile(x, 0.99)),
}
TOTALS = ("cold_starts", "gpus_mean", "gpu_busy_fraction", "gpu_mem_mean_bytes", "cost_usd")
RESAMPLES, CONFIDENCE, SEED = 1_000, 0.95, 0


def times(requests: pd.DataFrame) -> dict[str, Floats]:
    """Seconds of the finished requests, by metric; TPOT of those with more than one token."""
    done = requests[requests.outcome == "finished"]
    several = done[done.output_tokens > 1]
    return {
        "TTFT": (done.first_token_s - done.arrived_s).to_numpy(),
        "TPOT": ((several.finished_s - several.first_token_s) / (several.output_tokens - 1)).to_numpy(),
        "E2E": (done.finished_s - done.arrived_s).to_numpy(),
    }


def relative(predicted: float, measured: float) -> float:
    """predicted / measured - 1; 0 where both are 0."""
    if measured == 0:
        return 0.0 if predicted == 0 else np.inf
    return predicted / measured - 1


def pairs(measured: Results) -> Iterator[tuple[str, str]]:
    """Each system and scenario that was measured, in order."""
    yield from dict.fromkeys((cell.system, cell.scenario) for cell in measured.cells)


def both(predicted: Results, measured: Results, table: str, system: str, scenario: str) -> list[pd.DataFrame]:
    """A table of the prediction and of the measurement, of the runs that were measured."""
    which = {"system": system, "scenario": scenario}
    seeds = {cell.seed for cell in measured.select(**which)}
    frames = [getattr(side, table)(**which) for side in (predicted, measured)]
    return [frame[frame.seed.isin(seeds)] for frame in frames]


def request_errors(predicted: Results, measured: Results) -> list[Row]:
    """One row per system, scenario, metric and statistic: both values in seconds, the relative error, its interval.

    The interval resamples requests, the same ones on both sides: what the error would be for other requests of the
    kind that were seen.
    """
    rng = np.random.default_rng(SEED)
    rows: list[Row] = []
    for system, scenario in pairs(measured):
        ours, theirs = (times(frame) for frame in both(predicted, measured, "requests", system, scenario))
        for metric, expected in ours.items():
            found = theirs[metric]
            if not len(expected) or not len(found):
                continue
            picks = rng.random((RESAMPLES, max(len(expected), len(found))))
            for name, of in STATISTICS.items():
                errors = [relative(of(_resampled(expected, pick)), of(_resampled(found, pick))) for pick in picks]
                low, high = np.quantile(errors, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
                values = {"predicted_s": of(expected), "measured_s": of(found)}
                row = {"system": system, "scenario": scenario, "metric": metric, "statistic": name, **values}
                error = relative(values["predicted_s"], values["measured_s"])
                rows.append({**row, "error": error, "low": low, "high": high, "requests": len(found)})
    return rows


def _resampled(x: Floats, pick: Floats) -> Floats:
    return x[(pick[: len(x)] * len(x)).astype(np.int64)]


def stage_errors(predicted: Results, measured: Results) -> list[Row]:
    """One row per system, scenario and stage of a start: median seconds of both, how often, the relative error."""
    rows: list[Row] = []
    for system, scenario in pairs(measured):
        sides = both(predicted, measured, "events", system, scenario)
        finished = [side[side.kind == "stage_finished"] for side in sides]
        for stage in finished[1].stage.unique():
            ours, theirs = (side.seconds[side.stage == stage] for side in finished)
            values = {"predicted_s": float(ours.median()), "measured_s": float(theirs.median())}
            row = {"system": system, "scenario": scenario, "stage": stage, **values}
            counts = {"predicted_n": len(ours), "measured_n": len(theirs)}
            rows.append({**row, **counts, "error": relative(*values.values())})
    return rows


def total_errors(predicted: Results, measured: Results) -> list[Row]:
    """One row per system, scenario and total of the summary, over the runs that were measured."""
    keys = ["system", "scenario", "point", "seed"]
    sides = predicted.summary.merge(measured.summary, on=keys, suffixes=("_predicted", "_measured"))
    rows: list[Row] = []
    for (system, scenario), runs in sides.groupby(["system", "scenario"], sort=False):
        for total in TOTALS:
            ours, theirs = (float(runs[f"{total}_{side}"].mean()) for side in ("predicted", "measured"))
            row = {"system": system, "scenario": scenario, "total": total, "predicted": ours, "measured": theirs}
            rows.append({**row, "error": relative(ours, theirs)})
    return rows


def memory_told(measured: Results, system: str, scenario: str) -> tuple[Floats, Floats]:
    """(seconds, device bytes of the run by the driver, beyond those before it); empty where no driver told any."""
    facts = measured.select(system=system, scenario=scenario)[0].facts
    rows = np.array([row for row in facts["memory"] if row[0] >= 0], dtype=np.float64).reshape(-1, 2)
    return rows[:, 0], rows[:, 1] - facts["memory_before_bytes"]


def accounted(results: Results, system: str, scenario: str, at_s: Floats) -> Floats:
    """Device bytes of all instances and backbones at these times, as the engine accounts for them."""
    usage = results.usage(system=system, scenario=scenario)
    held = usage[(usage.holder != "gpu") & (usage.seed == usage.seed.min())]
    return np.array([held.device_bytes[(held.from_s <= t) & (t < held.to_s)].sum() for t in at_s], dtype=np.float64)


def memory_errors(predicted: Results, measured: Results) -> list[Row]:
    """One row per system and scenario whose device memory was told: mean bytes over the run, by whom."""
    rows: list[Row] = []
    for system, scenario in pairs(measured):
        at_s, told = memory_told(measured, system, scenario)
        if not len(told):
            continue
        ours, theirs = (accounted(side, system, scenario, at_s).mean() for side in (predicted, measured))
        values = {"driver_bytes": told.mean(), "accounted_bytes": theirs, "predicted_bytes": ours}
        row = {"system": system, "scenario": scenario, **values}
        rows.append({**row, "error": relative(theirs, told.mean()), "samples": len(told)})
    return rows
