"""The tables and the figure of this experiment's README: ``python sharing.py RESULTS [README]``.

Means over seeds with their 95 % intervals; ratios are of means over the same seeds, ``*`` if the interval leaves out 1.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

sys.path.append(str(Path(__file__).parents[1]))

from figures import curves
from page import fill_in
from tables import across, markdown, written

from simlora.plotting.style import Picture, log_ticks
from simlora.results.load import Results
from simlora.results.statistics import paired_ratio
from simlora.units import GB

COUNT = "functions.count"
SHARED = "serverless-lora"
PANELS = {"ttft_mean_s": "TTFT (s)", "usd_per_1k_requests": "USD per 1,000 requests", "gb": "GPU memory held (GB)"}
FORMS = {"ttft_mean_s": ".3g", "usd_per_1k_requests": ".3g", "gb": ".3g", "e2e_mean_s": ".3g"}
COMPARED = ("ttft_mean_s", "e2e_mean_s", "usd_per_1k_requests", "gb")
CALLED = {**PANELS, "e2e_mean_s": "E2E (s)"}


def figures(results: Results) -> pd.DataFrame:
    """The summary with the mean of the GPU memory held."""
    return results.summary.assign(gb=results.summary["gpu_mem_mean_bytes"] / GB)


def report(runs: pd.DataFrame) -> Iterator[str]:
    """What each way to share has by the number of functions, then its ratio to processes that map one backbone."""
    for column, form in FORMS.items():
        yield from across(runs, COUNT, column, form, f"{CALLED[column]}, by functions")
    counts = sorted(runs[COUNT].unique())
    for column in COMPARED:
        of = {key: own.set_index("seed")[column] for key, own in runs.groupby(["system", COUNT], sort=False)}
        rows = []
        for system in runs["system"].unique():
            if system != SHARED:
                ratios = [paired_ratio(of[system, count], of[SHARED, count]) for count in counts]
                rows.append([system, *(written(one, ".3g", "*" if one.excludes(1.0) else "") for one in ratios)])
        name = CALLED[column].partition(" (")[0]
        yield from markdown([f"{name}, ratio to {SHARED}", *(f"{count:,}" for count in counts)], rows)


def picture(runs: pd.DataFrame) -> Picture:
    """First tokens, price and memory over the number of functions."""
    return curves(runs, COUNT, PANELS, _as_drawn)


def _as_drawn(axes: Axes) -> None:
    axes.set_xlabel("functions of one backbone")
    if axes.get_ylabel() == PANELS["ttft_mean_s"]:
        axes.set_yscale("log")
        log_ticks(axes.yaxis)
    else:
        axes.set_ylim(bottom=0)


if __name__ == "__main__":
    fill_in(__doc__, lambda runs: report(figures(runs)), lambda runs: picture(figures(runs)), "sharing")
