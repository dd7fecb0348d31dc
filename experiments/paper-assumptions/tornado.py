"""The table and the figure of this experiment's README: ``python tornado.py RESULTS [README]``.

Per claim and variation the median over seeds of the ratio in one draw of traffic, with its 95 % interval, beside that
as configured.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

sys.path.append(str(Path(__file__).parents[1]))

from page import fill_in
from tables import markdown, written

from simlora.claims.measures import draws
from simlora.plotting.style import Picture
from simlora.plotting.tornado import tornado
from simlora.results.load import Results
from simlora.results.statistics import Interval, median_interval
from simlora.study.overrides import BASE

SCENARIO = "normal"
LORA, LLM, INSTA = "serverless-lora", "serverless-llm", "insta-infer"


class Ratio(NamedTuple):
    """A headline claim: a metric of one system over that of another, and the published value, up to which it goes."""

    metric: str
    of: str
    over: str
    paper: float


RATIOS = {
    "TTFT, ServerlessLLM / ServerlessLoRA": Ratio("ttft_mean_s", LLM, LORA, 4.7),
    "TTFT, InstaInfer / ServerlessLoRA": Ratio("ttft_mean_s", INSTA, LORA, 7.1),
    "cost-effectiveness over ServerlessLLM": Ratio("cost_effectiveness", LORA, LLM, 19.3),
    "cost-effectiveness over InstaInfer": Ratio("cost_effectiveness", LORA, INSTA, 12.7),
}


def ratios(results: Results) -> pd.DataFrame:
    """A row per claim and point, ``base`` being that of the file's own values."""
    points = dict.fromkeys(cell.point for cell in results.cells if cell.point != BASE)
    rows = []
    for panel, one in RATIOS.items():
        base = _ratio(results, one, BASE)
        for point in points:
            ratio = _ratio(results, one, point)
            of, _, to = point.partition("=")
            found = {"panel": panel, "of": of, "to": to, **ratio._asdict(), "base": base.estimate, "paper": one.paper}
            rows.append({**found, "ratio": ratio, "base_ratio": base})
    return pd.DataFrame(rows)


def _ratio(results: Results, one: Ratio, point: str) -> Interval:
    of, over = (draws(results, one.metric, system, SCENARIO, point) for system in (one.of, one.over))
    return median_interval(of / over)


def report(results: Results) -> Iterator[str]:
    """A row as configured, then one per variation, in the order of what matters most."""
    found = ratios(results)
    first = found.groupby("panel", sort=False)["base_ratio"].first()
    rows = [["as configured", *(written(ratio, ".3g") for ratio in first)]]
    change = np.log(found["estimate"] / found["base"]).abs().groupby(found["of"]).max()
    for of in change.sort_values(ascending=False, kind="stable").index:
        for to, own in found[found["of"] == of].groupby("to", sort=False):
            rows.append([f"{of}: {to}", *(written(ratio, ".3g") for ratio in own["ratio"])])
    yield from markdown(["ratio", *RATIOS], rows)
    spread = found.groupby("panel", sort=False)["estimate"].agg(["min", "max"])
    rows = [
        [panel, f"{low:.3g} to {high:.3g}", f"{RATIOS[str(panel)].paper:g}"] for panel, low, high in spread.itertuples()
    ]
    yield from markdown(["claim", "range over all variations", "paper, up to"], rows)


def picture(results: Results) -> Picture:
    """The same, drawn."""
    return tornado(ratios(results).drop(columns=["ratio", "base_ratio"]))


if __name__ == "__main__":
    fill_in(__doc__, report, picture, "tornado")
