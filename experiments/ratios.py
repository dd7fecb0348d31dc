"""Every system beside ``serverless-lora`` in the same seeds: tables and figures of several experiments here.

Ratios of means over the same seeds, 95 % intervals; ``*`` if the interval leaves out 1.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import pandas as pd
from figures import dots
from matplotlib.axes import Axes
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
NARROW = ("E2E", "cost")
"""Whose ratios mostly lie close enough together for an even axis."""


def ratios(summary: pd.DataFrame) -> pd.DataFrame:
    """Per scenario, system and metric: the ratio to the whole with its interval."""
    rows = []
    for scenario, runs in summary.groupby("scenario", sort=False):
        by_system = {str(name): own.set_index("seed") for name, own in runs.groupby("system", sort=False)}
        whole = by_system.pop(WHOLE)
        for system, own in by_system.items():
            for metric, column in METRICS.items():
                ratio = paired_ratio(own[column], whole[column])
                rows.append({"member": scenario, "row": system, "panel": metric, **ratio._asdict(), "ratio": ratio})
    return pd.DataFrame(rows)


def report(summary: pd.DataFrame) -> Iterator[str]:
    """A table per scenario: a row per system, what the whole system has in the first."""
    found = ratios(summary)
    for scenario, own in found.groupby("member", sort=False):
        whole = summary[(summary["scenario"] == scenario) & (summary["system"] == WHOLE)]
        rows = [[WHOLE, *(f"{whole[column].mean():.3g}" for column in METRICS.values())]]
        for system, of in own.groupby("row", sort=False):
            rows.append([str(system), *(written(r, ".3g", "*" if r.excludes(1.0) else "") for r in of["ratio"])])
        yield from markdown([f"{scenario}: ratio to {WHOLE}", *METRICS], rows)


def picture(summary: pd.DataFrame, drawn: Collection[str], even: Collection[str] = NARROW) -> Picture:
    """The ratios of all scenarios, a panel per metric, on logarithmic axes but for those named in ``even``."""
    found = ratios(summary).drop(columns="ratio")
    panels = {metric: _even if metric in even else _logarithmic for metric in drawn}
    return dots(found[found["panel"].isin(drawn)], panels)


def _even(axes: Axes) -> None:
    axes.axvline(1.0, color="#000000", linewidth=0.6)
    axes.set_xlabel(f"{axes.get_xlabel()}, ratio to {WHOLE}")


def _logarithmic(axes: Axes) -> None:
    _even(axes)
    axes.set_xscale("log")
    log_ticks(axes.xaxis)
