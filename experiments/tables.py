"""The Markdown tables of a finished run, as the READMEs here show them: ``python experiments/tables.py DIR [README]``.

With a README the tables go between its markers.

Figures: mean over seeds (95 % interval). Ratios to the first system: paired over seeds, ``*`` if the
interval leaves out 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from page import fill_in

from simlora.results.breakdown import START_UP
from simlora.results.load import Results, load
from simlora.results.statistics import Interval, mean_interval, paired_ratio

FORMS = {
    "TTFT mean (s)": ".3g",
    "of the median seed": ".3g",
    "TTFT p99 (s)": ".3g",
    "SLO violations": ".1%",
    "cold starts": ".1%",
    "E2E mean (s)": ".3g",
    "cost (USD)": ".3g",
    "cost-effectiveness": ".2g",
}
COMPARED = ("TTFT mean (s)", "TTFT p99 (s)", "cost (USD)")
MEDIAN = "of the median seed"


def figures(summary: pd.DataFrame) -> pd.DataFrame:
    """What is shown of each run."""
    return pd.DataFrame(
        {
            "system": summary["system"],
            "scenario": summary["scenario"],
            "seed": summary["seed"],
            "TTFT mean (s)": summary["ttft_mean_s"],
            MEDIAN: summary["ttft_mean_s"],
            "TTFT p99 (s)": summary["ttft_p99_s"],
            "SLO violations": 1.0 - summary["slo_attainment"],
            "cold starts": summary["cold_starts"] / summary["requests"],
            "E2E mean (s)": summary["e2e_mean_s"],
            "cost (USD)": summary["cost_usd"],
            "cost-effectiveness": summary["cost_effectiveness"],
        }
    )


def written(interval: Interval, form: str, mark: str = "") -> str:
    """The estimate and its interval."""
    estimate, low, high = (number(value, form) for value in interval[:3])
    return estimate if np.isnan(interval.low) else f"{estimate}{mark} ({low} to {high})"


def number(value: float, form: str) -> str:
    """Thousands written out."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:{form}}"


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The lines of a table."""
    yield f"| {' | '.join(header)} |"
    yield "|---" * len(header) + "|"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def across(runs: pd.DataFrame, along: str, column: str, form: str, what: str) -> Iterator[str]:
    """A row per system, a column per value of ``along``."""
    values = sorted(runs[along].unique())
    rows = []
    for system, own in runs.groupby("system", sort=False):
        cells = [written(mean_interval(own.loc[own[along] == value, column]), form) for value in values]
        rows.append([str(system), *cells])
    yield from markdown([what, *(f"{value:,g}" for value in values)], rows)


def of_scenario(runs: pd.DataFrame) -> Iterator[str]:
    """A row per system."""
    rows = []
    for system, own in runs.groupby("system", sort=False):
        cells = [
            number(own[name].median(), form) if name == MEDIAN else written(mean_interval(own[name]), form)
            for name, form in FORMS.items()
        ]
        rows.append([str(system), *cells])
    yield from markdown(["system", *FORMS], rows)


def ratios(runs: pd.DataFrame, backbones: pd.DataFrame) -> Iterator[str]:
    """Every system's figures over the first one's, and how much more cost-effective the first is."""
    by_system = {str(name): own.set_index("seed") for name, own in runs.groupby("system", sort=False)}
    (name, first), *others = by_system.items()
    rows = []
    for other, own in others:
        pairs = [paired_ratio(own[column], first[column]) for column in COMPARED]
        pairs.append(paired_ratio(first["cost-effectiveness"], own["cost-effectiveness"]))
        for _, group in backbones.groupby("backbone", sort=False):
            ttft_s = group.set_index(["system", "seed"])["ttft_mean_s"]
            pairs.append(paired_ratio(ttft_s[other], ttft_s[name]))
        rows.append([other, *(written(one, ".3g", "*" if one.excludes(1.0) else "") for one in pairs)])
    own_s = [f"TTFT mean of {backbone}" for backbone in backbones["backbone"].unique()]
    header = ["TTFT mean", "TTFT p99", "cost", f"cost-effectiveness of {name} over its own", *own_s]
    yield from markdown([f"ratio to {name}", *header], rows)


def with_served(results: Results) -> pd.DataFrame:
    """The summary, and what each run served: requests a second until its last one is finished."""
    runs = results.summary.set_index(["system", "scenario", "point", "seed"])
    ends_s = {(cell.system, cell.scenario, cell.point, cell.seed): cell.facts["end_s"] for cell in results.cells}
    return runs.assign(served=runs["finished"] / pd.Series(ends_s).reindex(runs.index)).reset_index()


def by_backbone(folder: Path) -> pd.DataFrame:
    """Mean TTFT per run over all requests of the functions of one backbone: what stands before "-" in their names."""
    each = pd.read_csv(folder / "summary_by_function.csv")
    each["backbone"] = each["function"].str.partition("-")[0]
    each["weighted_s"] = each["ttft_mean_s"].fillna(0.0) * each["finished"]
    sums = each.groupby(["system", "scenario", "seed", "backbone"], sort=False)[["weighted_s", "finished"]].sum()
    return (sums["weighted_s"] / sums["finished"]).rename("ttft_mean_s").reset_index()


def phases(results: Results, scenario: str, systems: Iterable[str]) -> Iterator[str]:
    """Seconds of a mean request per phase, mean over seeds."""
    frame = results.breakdown(scenario=scenario).groupby("system").mean(numeric_only=True).drop(columns="seed")
    rows = [[system, *(f"{seconds:z.2f}" for seconds in frame.loc[system])] for system in systems]
    yield from markdown(["seconds of a mean request", *(str(name).removeprefix(START_UP) for name in frame)], rows)


def report(folder: Path) -> Iterator[str]:
    """All tables of a run."""
    results = load(folder)
    runs, backbones = figures(results.summary), by_backbone(folder)
    for scenario, own in runs.groupby("scenario", sort=False):
        yield from (f"### {scenario}", "")
        yield from of_scenario(own)
        yield from ratios(own, backbones[backbones["scenario"] == scenario])
        yield from phases(results, str(scenario), own["system"].unique())


if __name__ == "__main__":
    fill_in(__doc__, lambda results: report(results.folder))
