"""What traffic looks like: its rate over time, and how unequal the functions are."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd

from simlora.plotting.curves import time_unit
from simlora.plotting.style import LOOK, Picture, canvas, legend_above, log_ticks, styles
from simlora.workload.workload import Workload

TIME_BINS = 96
BUSIEST = 4
"""Functions that have a curve of their own."""


def traffic_picture(workload: Workload, functions: list[str], duration_s: float) -> Picture:
    """Left: requests per second of the busiest functions and of all, in 96 bins. Right: share of all requests by rank,
    for those that have any. The data hold every function's requests in every bin.
    """
    edges = np.linspace(0.0, duration_s, TIME_BINS + 1)
    bins = np.minimum((workload.arrived_s / duration_s * TIME_BINS).astype(np.int64), TIME_BINS - 1)
    counts = np.zeros((len(functions), TIME_BINS), dtype=np.int64)
    np.add.at(counts, (workload.function, bins), 1)
    totals = counts.sum(axis=1)
    order = np.argsort(-totals, kind="stable")
    unit, per_unit_s = time_unit(duration_s)
    with mpl.rc_context(LOOK):
        figure, [[rate, share]] = canvas("text", 2.2, cols=2)
        named = [functions[row] for row in order[:BUSIEST] if totals[row]]
        look = styles(named)
        for name, row in zip(named, order, strict=False):
            own = counts[row] / (duration_s / TIME_BINS)
            rate.stairs(
                own, edges / per_unit_s, baseline=None, color=look[name].color, linestyle=look[name].dash, label=name
            )
        everyone = counts.sum(axis=0) / (duration_s / TIME_BINS)
        rate.stairs(everyone, edges / per_unit_s, baseline=None, color="#888888", linewidth=0.8, label="all")
        rate.set(
            xlabel=f"Time ({unit})", ylabel="Requests per second", xlim=(0, duration_s / per_unit_s), ylim=(0, None)
        )
        ranked = 100 * totals[order][totals[order] > 0] / totals.sum()
        share.plot(np.arange(1, len(ranked) + 1), ranked, color="#444444", marker="o", markersize=2, linewidth=0.8)
        share.set(xscale="log", yscale="log", xlabel="Rank of the function", ylabel="Of all requests (%)")
        for axis in (share.xaxis, share.yaxis):
            log_ticks(axis)
        for axes in (rate, share):
            axes.grid(True)
        legend_above(figure, *rate.get_legend_handles_labels(), "text")
    every = np.repeat(np.arange(len(functions)), TIME_BINS)
    table = {"function": np.array(functions)[every], "from_s": np.tile(edges[:-1], len(functions))}
    return Picture(figure, pd.DataFrame({**table, "requests": counts.ravel()}))
