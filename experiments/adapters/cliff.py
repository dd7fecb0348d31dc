"""The tables and the figure of this experiment's README: ``python cliff.py RESULTS [README]``.

Means over seeds with their 95 % intervals.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd

sys.path.append(str(Path(__file__).parents[1]))

from page import fill_in
from tables import across, with_served

from simlora.plotting.bars import WHISKER, intervals, whiskers
from simlora.plotting.style import LOOK, Picture, canvas, handle, legend_above, log_ticks, styles
from simlora.results.load import Results
from simlora.results.tables import Floats

COUNT = "functions.count"
SHOWN = {
    "requests/s": ("served", ".2f"),
    "TTFT p99 (s)": ("ttft_p99_s", ".3g"),
    "overtaken": ("overtaken", ".0%"),
}
DRAWN = {"saturating": ("served", "Requests/s"), "below capacity": ("ttft_p99_s", "TTFT, 99th percentile (s)")}
SLOTS = (8, 32)


def figures(results: Results) -> pd.DataFrame:
    """The summary with requests a second, the share of requests overtaken, and the longest load of an adapter."""
    rows = []
    for cell in results.cells:
        requests, events = cell.table("requests").to_pandas(), cell.table("events").to_pandas()
        keys = {"system": cell.system, "scenario": cell.scenario, "point": cell.point, "seed": cell.seed}
        loads_s = events.loc[events["kind"] == "adapter_loaded", "seconds"]
        started_s = requests.sort_values(["arrived_s", "request"])["started_s"].to_numpy(float)
        rows.append({**keys, "overtaken": overtaken(started_s), "load_s": loads_s.max()})
    return with_served(results).merge(pd.DataFrame(rows), on=["system", "scenario", "point", "seed"])


def overtaken(started_s: Floats) -> float:
    """The share of requests, given in order of arrival, before which a later one is started."""
    earliest_later_s = np.minimum.accumulate(started_s[:0:-1])[::-1]
    return float(np.count_nonzero(earliest_later_s < started_s[:-1]) / len(started_s))


def report(runs: pd.DataFrame) -> Iterator[str]:
    """Per scenario and what is shown: a row per system, a column per number of adapters."""
    for scenario, own in runs.groupby("scenario", sort=False):
        for what, (column, form) in SHOWN.items():
            yield from across(own, COUNT, column, form, f"{scenario}: {what}")
    longest_s = runs.groupby("system", sort=False)["load_s"].max()
    yield "Longest load of an adapter: " + ", ".join(f"{name} {1000 * s:.0f} ms" for name, s in longest_s.items()) + "."
    yield ""


def picture(runs: pd.DataFrame) -> Picture:
    """Over the number of adapters: what is served when more comes than can be, and first tokens when less does."""
    names, found = list(runs["system"].unique()), []
    look = styles(names)
    with mpl.rc_context(LOOK):
        figure, ((*panels,),) = canvas("text", 2.3, cols=len(DRAWN))
        for axes, (scenario, (column, label)) in zip(panels, DRAWN.items(), strict=True):
            own = intervals(runs[runs["scenario"] == scenario], ["system", COUNT], column)
            found.append(own.assign(panel=label))
            axes.set(xscale="log", yscale="log" if column == "ttft_p99_s" else "linear")
            for name in names:
                line, style = own[own["system"] == name], look[name]
                axes.errorbar(
                    line[COUNT], line["estimate"], yerr=whiskers(line), color=style.color, linestyle=style.dash,
                    marker=style.marker, **{**WHISKER, "ecolor": style.color},
                )  # fmt: skip
            for slots in SLOTS:
                axes.axvline(slots, color="#000000", linewidth=0.5, linestyle=(0, (1, 2)))
                axes.text(1.03 * slots, 0.98, f"{slots} slots", transform=axes.get_xaxis_transform(), va="top")
            counts = sorted(own[COUNT].unique())
            axes.set_xticks(counts, [f"{count:,}" for count in counts], minor=False)
            axes.set_xticks([], minor=True)
            axes.set(xlabel="Adapters", ylabel=label, title=scenario)
        panels[0].set_ylim(bottom=0)
        log_ticks(panels[1].yaxis)
        legend_above(figure, [handle(look[name], "lines") for name in names], names, "text")
    return Picture(figure, pd.concat(found, ignore_index=True))


if __name__ == "__main__":
    fill_in(__doc__, lambda runs: report(figures(runs)), lambda runs: picture(figures(runs)), "cliff")
