"""Requests a second that each system serves, until its last request is finished: ``python served.py RESULTS``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from page import fill_in
from tables import markdown, with_served, written

from simlora.results.load import load
from simlora.results.statistics import mean_interval


def report(folder: Path) -> Iterator[str]:
    """A row per system, a column per number of adapters."""
    results = load(folder)
    runs = with_served(results).set_index(["system", "point"])
    points = list(runs.index.unique("point"))
    rows = []
    for system in results.systems:
        own = runs.loc[system].groupby("point")
        for what, form in (("served", ".2f"), ("batch_mean", ".1f")):
            cells = [written(mean_interval(own.get_group(point)[what]), form) for point in points]
            rows.append([f"{system}, {'requests/s' if what == 'served' else 'mean batch'}", *cells])
    yield from markdown(["", *(point.partition("=")[2] for point in points)], rows)


if __name__ == "__main__":
    fill_in(__doc__, lambda results: report(results.folder))
