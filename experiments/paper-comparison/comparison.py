"""The tables and the figure of this experiment's README: ``python comparison.py RESULTS [README]``.

Of each metric the median over seeds with its 95 % interval; an always-on system also with the fewest GPUs that match
the best serverless SLO attainment, a number that each scenario has of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

sys.path.append(str(Path(__file__).parents[1]))

from page import fill_in
from tables import markdown, written

from simlora.claims.measures import FEWEST
from simlora.plotting import bars
from simlora.plotting.style import Picture
from simlora.results.statistics import median_interval
from simlora.study.grid import full_name, gpus_in

SHOWN = {
    "TTFT (s)": "ttft_mean_s",
    "TPOT (s)": "tpot_paper_mean_s",
    "E2E (s)": "e2e_mean_s",
    "cost (USD)": "cost_usd",
    "cost-effectiveness (1/(s USD))": "cost_effectiveness",
    "SLO violations (%)": "slo_violations",
}
DRAWN = ("serverless-lora", "serverless-llm", "insta-infer", f"vllm{FEWEST}", f"dlora{FEWEST}")


def named(summary: pd.DataFrame) -> pd.DataFrame:
    """The runs with one name for a system with the fewest GPUs, whatever their number, and with SLO violations."""
    names = [name if gpus_in(name) is None else f"{full_name(name)}{FEWEST}" for name in summary["system"]]
    return summary.assign(system=names, slo_violations=100.0 * (1.0 - summary["slo_attainment"]))


def report(summary: pd.DataFrame) -> Iterator[str]:
    """A table per metric: a row per system, a column per scenario."""
    runs = named(summary)
    scenarios = list(dict.fromkeys(runs["scenario"]))
    for title, column in SHOWN.items():
        rows = []
        for system, own in runs.groupby("system", sort=False):
            cells = [written(median_interval(own[column][own["scenario"] == one]), ".3g") for one in scenarios]
            rows.append([str(system), *cells])
        yield from markdown([title, *scenarios], rows)


def picture(summary: pd.DataFrame) -> Picture:
    """Time to first token and cost-effectiveness of the paper's five systems."""
    runs = named(summary)
    drawn = runs[runs["system"].isin(DRAWN)].replace({"system": {f"vllm{FEWEST}": "vllm", f"dlora{FEWEST}": "dlora"}})
    return bars(drawn, ("ttft_mean_s", "cost_effectiveness"))


if __name__ == "__main__":
    fill_in(__doc__, lambda runs: report(runs.summary), lambda runs: picture(runs.summary), "comparison")
