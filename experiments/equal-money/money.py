"""The table and the figure of this experiment's README: ``python money.py RESULTS [README]``.

Means over seeds with their 95 % intervals, then ratios of means over the same seeds to ten L40S, ``*`` if the
interval leaves out 1.
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
from tables import markdown, with_served, written

from simlora.plotting.style import Picture, log_ticks
from simlora.results.load import Results
from simlora.results.statistics import mean_interval, paired_ratio
from simlora.study.overrides import BASE

FIRST = "10 L40S"
LIGHT, HEAVY = "light", "saturating"
SHOWN = {
    "TTFT (s)": (LIGHT, "ttft_mean_s", ".3g"),
    "TTFT p99 (s)": (LIGHT, "ttft_p99_s", ".3g"),
    "ms a token": (LIGHT, "tpot_ms", ".3g"),
    "USD per 1,000 requests": (LIGHT, "usd_per_1k_requests", ".3g"),
    "requests/s": (HEAVY, "served", ".3g"),
}
DRAWN = ("TTFT (s)", "USD per 1,000 requests", "requests/s")


def figures(results: Results) -> pd.DataFrame:
    """The summary with which GPUs there are, milliseconds a token and requests a second until the last is finished."""
    runs = with_served(results)
    gpus = runs["point"].where(runs["point"] != BASE, f"GPUs={FIRST}").str.partition("=")[2]
    return runs.assign(gpus=gpus, tpot_ms=1000 * runs["tpot_mean_s"])


def report(runs: pd.DataFrame) -> Iterator[str]:
    """Per system: a row per kind of GPU, a column per figure; then the ratios."""
    of = {key: own.set_index("seed") for key, own in runs.groupby(["system", "gpus", "scenario"], sort=False)}
    header = [f"{name}, {scenario}" for name, (scenario, _, _) in SHOWN.items()]
    for system in runs["system"].unique():
        means, ratios = [], []
        for gpus in runs["gpus"].unique():
            own = [(of[system, gpus, s][name], of[system, FIRST, s][name], form) for s, name, form in SHOWN.values()]
            means.append([gpus, *(written(mean_interval(mine), form) for mine, _, form in own)])
            pairs = [paired_ratio(mine, first) for mine, first, _ in own]
            ratios.append([gpus, *(written(one, ".3g", "*" if one.excludes(1.0) else "") for one in pairs)])
        yield from markdown([system, *header], means)
        yield from markdown([f"{system}, ratio to {FIRST}", *header], [row for row in ratios if row[0] != FIRST])


def picture(runs: pd.DataFrame) -> Picture:
    """First tokens and the bill of light traffic, and what is served of too much."""
    rows = []
    for (system, gpus), own in runs.groupby(["system", "gpus"], sort=False):
        for panel, (scenario, column, _) in SHOWN.items():
            interval = mean_interval(own.loc[own["scenario"] == scenario, column])
            rows.append({"member": system, "row": gpus, "panel": panel, **interval._asdict()})
    found = pd.DataFrame(rows)
    return dots(found[found["panel"].isin(DRAWN)], dict.fromkeys(DRAWN, _as_drawn))


def _as_drawn(axes: Axes) -> None:
    name = axes.get_xlabel()
    axes.set_xlabel(f"{name}, {SHOWN[name][0]}")
    axes.set_xscale("log")
    log_ticks(axes.xaxis)


if __name__ == "__main__":
    fill_in(__doc__, lambda runs: report(figures(runs)), lambda runs: picture(figures(runs)), "equal-money")
