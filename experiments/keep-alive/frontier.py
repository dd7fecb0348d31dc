"""Each keep-alive beside a constant one that holds as much memory: ``python frontier.py DIR [README]``.

Per seed the fixed keep-alives make a curve, cold calls over memory held, straight between its points. A policy's cold
calls are held against the curve's at its own memory. With a README the table goes between its markers.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.append(str(Path(__file__).parents[1]))

from page import fill_in

from simlora.results.load import Results
from simlora.results.statistics import Interval, mean_interval, paired_ratio

FIXED = "fixed "
FORMS = {"memory_gb": ".1f", "cold": ".1%", "ttft_mean_s": ".2f", "cost_usd": ".2f"}
WAIT_S = 1.0
"""A call counts as cold if it waited so long for start-up: the first run alone, after pre-warming, takes half of it."""


def per_run(results: Results) -> pd.DataFrame:
    """Share of cold calls, mean device memory held, cost and mean TTFT of each run."""
    summary = results.summary
    rows = []
    for run in summary.itertuples():
        requests = results.requests(system=run.system, scenario=run.scenario, seed=run.seed)
        waited_s = requests["ready_s"] - requests["bound_s"]
        rows.append(float((waited_s > WAIT_S).mean()))
    columns = ["system", "scenario", "seed", "ttft_mean_s", "cost_usd"]
    return summary[columns].assign(cold=rows, memory_gb=summary["gpu_mem_mean_bytes"] / 1e9)


def at_equal_memory(runs: pd.DataFrame, system: str) -> tuple[np.ndarray, np.ndarray]:
    """Per seed: the policy's share of cold calls, and the fixed curve's at the memory the policy held."""
    own, curve = [], []
    for _, of_seed in runs.groupby("seed"):
        fixed = of_seed[of_seed["system"].str.startswith(FIXED)].sort_values("memory_gb")
        row = of_seed[of_seed["system"] == system].iloc[0]
        own.append(row["cold"])
        curve.append(np.interp(row["memory_gb"], fixed["memory_gb"], fixed["cold"]))
    return np.asarray(own), np.asarray(curve)


def written(interval: Interval, form: str) -> str:
    """The estimate and its interval."""
    return f"{interval.estimate:{form}} ({interval.low:{form}} to {interval.high:{form}})"


def report(results: Results) -> Iterator[str]:
    """A Markdown table per scenario."""
    runs = per_run(results)
    systems = list(dict.fromkeys(runs["system"]))
    for scenario, of_scenario in runs.groupby("scenario", sort=False):
        yield f"| {scenario} | GB held | cold calls | TTFT (s) | cost (USD) | cold / fixed at equal memory |"
        yield "|---|---|---|---|---|---|"
        for system in systems:
            mine = of_scenario[of_scenario["system"] == system]
            cells = [written(mean_interval(mine[column]), form) for column, form in FORMS.items()]
            fixed = system.startswith(FIXED)
            cells.append("" if fixed else written(paired_ratio(*at_equal_memory(of_scenario, system)), ".2f"))
            yield f"| {system} | {' | '.join(cells)} |"
        yield ""


if __name__ == "__main__":
    fill_in(__doc__, report, place="frontier")
