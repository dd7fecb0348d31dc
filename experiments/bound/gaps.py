"""The tables and the figure of this experiment's README: ``python gaps.py RESULTS [README]``.

Share of the gap closed: (plain-serverless - system) / (plain-serverless - bound), of means over the same seeds, 95 %
intervals.
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

from simlora.plotting.style import Picture
from simlora.results.statistics import Interval, gap_closed, mean_interval

FLOOR, BOUND, OWN_BOUND = "plain-serverless", "bound", "bound of hf-eager"
METRICS = {"TTFT": "ttft_mean_s", "TTFT p99": "ttft_p99_s", "E2E": "e2e_mean_s", "cost": "cost_usd"}
MEANS = {"TTFT (s)": "ttft_mean_s", "E2E (s)": "e2e_mean_s", "cost (USD)": "cost_usd"}
DRAWN = ("TTFT", "E2E", "cost")
FARTHEST = -120
"""Where the figure's axes end on the left: what is worse than that is said in the table alone."""


def shares(summary: pd.DataFrame) -> pd.DataFrame:
    """Per scenario, system and metric: percent of the gap closed, with the interval; not for the ends of the scale."""
    rows = []
    for scenario, runs in summary.groupby("scenario", sort=False):
        by_system = {str(name): own.set_index("seed") for name, own in runs.groupby("system", sort=False)}
        for system, own in by_system.items():
            if system in (FLOOR, BOUND):
                continue
            for metric, column in METRICS.items():
                closed = gap_closed(own[column], by_system[FLOOR][column], by_system[BOUND][column])
                percent = Interval(*(100 * value for value in closed[:3]), closed.n, closed.confidence)
                keys = {"member": scenario, "row": system, "panel": metric}
                rows.append({**keys, **percent._asdict(), "percent": percent})
    return pd.DataFrame(rows)


def report(summary: pd.DataFrame) -> Iterator[str]:
    """Per scenario: means, and shares of the gap closed."""
    found = shares(summary).set_index(["member", "row", "panel"])["percent"]
    for scenario, runs in summary.groupby("scenario", sort=False):
        rows = []
        for system, own in runs.groupby("system", sort=False):
            cells = [written(mean_interval(own[column]), ".3g") for column in MEANS.values()]
            for metric in METRICS:
                percent = found.get((scenario, system, metric))
                cells.append("" if percent is None else written(percent, ".0f"))
            rows.append([str(system), *cells])
        yield from markdown([str(scenario), *MEANS, *(f"{name}: % closed" for name in METRICS)], rows)


def picture(summary: pd.DataFrame) -> Picture:
    """The shares in both scenarios, a panel per metric."""
    found = shares(summary).drop(columns="percent")
    found = found[found["panel"].isin(DRAWN) & (found["row"] != OWN_BOUND)]
    return dots(found, dict.fromkeys(DRAWN, _as_share))


def _as_share(axes: Axes) -> None:
    for end in (0, 100):
        axes.axvline(end, color="#000000", linewidth=0.6)
    axes.set_xlabel(f"{axes.get_xlabel()}: gap closed (%)")
    axes.set_xlim(max(FARTHEST, axes.get_xlim()[0]), 104)


if __name__ == "__main__":
    fill_in(__doc__, lambda runs: report(runs.summary), lambda runs: picture(runs.summary), "gaps")
