"""The tables and the figure of this experiment's README: ``python lengths.py RESULTS [README]``.

Ratios of means over the same seeds to those of serverless-lora, 95 % intervals; ``*`` if the interval leaves out 1.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

sys.path.append(str(Path(__file__).parents[1]))

from page import fill_in
from ratios import picture, report
from tables import markdown, written

from simlora.results.statistics import mean_interval

DRAWN = ("TTFT", "E2E", "cost")


def met(summary: pd.DataFrame) -> Iterator[str]:
    """SLOs met, a row per system, a column per kind of lengths."""
    kinds = list(summary["scenario"].unique())
    of = summary.groupby(["system", "scenario"])["slo_attainment"]
    rows = [
        [system, *(written(mean_interval(of.get_group((system, kind))), ".1%") for kind in kinds)]
        for system in summary["system"].unique()
    ]
    yield from markdown(["SLOs met", *kinds], rows)


def tables(summary: pd.DataFrame) -> Iterator[str]:
    """The ratios, and what is met of the SLOs."""
    yield from report(summary)
    yield from met(summary)


if __name__ == "__main__":
    fill_in(__doc__, lambda runs: tables(runs.summary), lambda runs: picture(runs.summary, DRAWN), "lengths")
