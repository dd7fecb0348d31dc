"""The table and the figure of this experiment's README: ``python scaling.py RESULTS [README]``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

sys.path.append(str(Path(__file__).parents[1]))

from page import fill_in
from tables import markdown, written

from simlora.plotting import plot
from simlora.plotting.style import Picture
from simlora.results.statistics import mean_interval

SHOWN = {"tokens/s": "throughput_tok_per_s", "TTFT (s)": "ttft_mean_s", "SLO attainment (%)": "slo_attainment"}
GPUS = "GPUs"


def by_gpus(summary: pd.DataFrame) -> pd.DataFrame:
    """The runs with the kind of scaling as scenario and the number of GPUs as sweep point."""
    named = summary["scenario"].str.extract(r"^(?P<kind>\w+), (?P<gpus>\d+) GPUs$")
    return summary.assign(scenario=named["kind"], point="GPUs=" + named["gpus"], **{GPUS: named["gpus"].astype(int)})


def report(summary: pd.DataFrame) -> Iterator[str]:
    """A table per kind of scaling and metric: a row per system, a column per number of GPUs."""
    runs = by_gpus(summary)
    for kind, of_kind in runs.groupby("scenario", sort=False):
        for title, column in SHOWN.items():
            percent = 100.0 if title.endswith("(%)") else 1.0
            rows = []
            for system, own in of_kind.groupby("system", sort=False):
                cells = [written(mean_interval(at[column] * percent), ".3g") for _, at in own.groupby(GPUS)]
                rows.append([str(system), *cells])
            yield from markdown([f"{kind} scaling, {title}", *map(str, sorted(of_kind[GPUS].unique()))], rows)


def picture(summary: pd.DataFrame) -> Picture:
    """Tokens a second over the number of GPUs, strong scaling beside weak."""
    return plot(by_gpus(summary), GPUS, "throughput_tok_per_s", curve="system", col="scenario")


if __name__ == "__main__":
    fill_in(__doc__, lambda runs: report(runs.summary), lambda runs: picture(runs.summary), "scaling")
