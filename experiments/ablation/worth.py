"""The tables and the figure of this experiment's README: ``python worth.py RESULTS [README]``.

Ratios of means over the same seeds to those of the whole system, 95 % intervals; ``*`` if the interval leaves out 1.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

sys.path.append(str(Path(__file__).parents[1]))

from figures import dots
from page import fill_in
from tables import markdown, written

from simlora.plotting.style import Picture, log_ticks
from simlora.results.statistics import paired_ratio

WHOLE = "serverless-lora"
METRICS = {
    "TTFT": "ttft_mean_s",
    "TTFT p99": "ttft_p99_s",
    "E2E": "e2e_mean_s",
    "cost": "cost_usd",
    "cost-effectiveness": "cost_effectiveness",
}
DRAWN = ("TTFT", "TTFT p99", "cost")
NARROW = ("cost",)
"""Of what is drawn, that whose ratios lie close enough together for an even axis."""


def ratios(summary: pd.DataFrame) -> pd.DataFrame:
    """Per scenario, variant and metric: the ratio to the whole system with its interval."""
    rows = []
    for scenario, runs in summary.groupby("scenario", sort=False):
        by_system = {str(name): own.set_index("seed") for name, own in runs.groupby("system", sort=False)}
        whole = by_system.pop(WHOLE)
        for variant, own in by_system.items():
            for metric, column in METRICS.items():
                ratio = paired_ratio(own[column], whole[column])
                rows.append({"member": scenario, "row": variant, "panel": metric, **ratio._asdict(), "ratio": ratio})
    return pd.DataFrame(rows)


def report(summary: pd.DataFrame) -> Iterator[str]:
    """A table per scenario: a row per variant, what the whole system has in the first."""
    found = ratios(summary)
    for scenario, own in found.groupby("member", sort=False):
        whole = summary[(summary["scenario"] == scenario) & (summary["system"] == WHOLE)]
        rows = [[WHOLE, *(f"{whole[column].mean():.3g}" for column in METRICS.values())]]
        for variant, of in own.groupby("row", sort=False):
            rows.append([str(variant), *(written(r, ".3g", "*" if r.excludes(1.0) else "") for r in of["ratio"])])
        yield from markdown([f"{scenario}: ratio to {WHOLE}", *METRICS], rows)


def picture(summary: pd.DataFrame) -> Picture:
    """The ratios of both scenarios, a panel per metric."""
    found = ratios(summary).drop(columns="ratio")
    return dots(found[found["panel"].isin(DRAWN)], dict.fromkeys(DRAWN, _as_ratio))


def _as_ratio(axes: Axes) -> None:
    metric = axes.get_xlabel()
    axes.axvline(1.0, color="#000000", linewidth=0.6)
    axes.set_xlabel(f"{metric}, ratio to {WHOLE}")
    if metric not in NARROW:
        axes.set_xscale("log")
        log_ticks(axes.xaxis)


if __name__ == "__main__":
    fill_in(__doc__, lambda runs: report(runs.summary), lambda runs: picture(runs.summary), "ablation")
