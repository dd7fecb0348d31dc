"""What each deployment costs a month, and where the cheapest changes: ``python rentable.py RESULTS [README]``.

A month is 30 days of the traffic as in the run; each run is billed over its traffic alone, so that a system whose queue
drains for hours does not lengthen the others' bill. Intervals are over seeds, 95 %. Given a README it fills in the
tables and draws ``rentable.png`` beside it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd

sys.path.append(str(Path(__file__).parents[1]))

from page import fill_in
from tables import across, markdown

from simlora.plotting.style import LOOK, Picture, canvas, handle, legend_above, log_ticks, styles
from simlora.results.load import Results, load
from simlora.results.prices import Price, load_price, price_ways
from simlora.results.statistics import mean_interval
from simlora.results.summary import bill_of
from simlora.study.grid import full_name
from simlora.study.repricing import MONTH_S

MARKETS = {
    "Runpod flex and active": ("runpod-2026", "runpod-active-2026"),
    "Alibaba and EC2": ("alibaba-fc-2024-08", "ec2-on-demand-2026"),
}
FEWEST = "vllm (3 to 6 GPUs)"
WANTED = (0.5, 0.9, 0.95, 0.99)


def name_of(system: str, fewest: bool) -> str | None:
    """How a deployment is called here; none for vLLM on all GPUs, which nobody would rent for this."""
    if system != "vllm" and full_name(system) != "vllm":
        return system
    return FEWEST if fewest else None


def figures(results: Results) -> pd.DataFrame:
    """Per run: rate, deployment, seed, share of SLOs met, USD a month in each market."""
    markets = {market: price_lists({name: load_price(name) for name in names}) for market, names in MARKETS.items()}
    met = results.summary.set_index(["system", "scenario", "seed"])["slo_attainment"].to_dict()
    rows = []
    for cell in results.cells:
        system = name_of(cell.system, cell.system != full_name(cell.system))
        if system is None:
            continue
        requests, usage, window_s = cell.table("requests"), cell.table("usage"), cell.facts["duration_s"]
        row = {"rate": float(cell.scenario), "system": system, "seed": cell.seed, "gpus": cell.facts["gpus"]}
        row["met"] = met[cell.system, cell.scenario, cell.seed]
        for market, ways in markets.items():
            usd = bill_of(requests, usage, cell.facts, window_s, ways[cell.facts["billing"]]).total_usd
            row[market] = usd * MONTH_S / window_s
        rows.append(row)
    return pd.DataFrame(rows)


def price_lists(prices: Mapping[str, Price]) -> dict[str, Sequence[Price]]:
    """The lists that bill each kind of system."""
    kinds = ("serverless", "always-on", "reserved-plus-serverless")
    return {kind: next(iter(price_ways(prices, kind).values())) for kind in kinds}


def by_rate(runs: pd.DataFrame, column: str, form: str) -> Iterator[str]:
    """A row per deployment, a column per rate."""
    yield from across(runs, "rate", column, form, f"{column}, at requests/s")


def cheapest(runs: pd.DataFrame, market: str) -> Iterator[str]:
    """The cheapest deployment whose mean share of SLOs met is at least so much, per rate."""
    means = runs.groupby(["rate", "system"], sort=False)[["met", market]].mean()
    rates = sorted(runs["rate"].unique())
    rows = []
    for wanted in WANTED:
        row = [f"{wanted:.0%}"]
        for rate in rates:
            good = means.loc[rate][means.loc[rate]["met"] >= wanted][market]
            row.append(f"{good.idxmin()}: {good.min():,.0f}" if len(good) else "none")
        rows.append(row)
    yield from markdown([f"cheapest with so many SLOs met, {market}", *(f"{rate:g}" for rate in rates)], rows)


def crossings(runs: pd.DataFrame, market: str, of: str) -> Iterator[str]:
    """The rate from which another deployment is cheaper than ``of``, or was until then, by interpolation per seed."""
    wide = runs.pivot_table(index=["system", "seed"], columns="rate", values=market)
    log_rates = np.log(wide.columns.to_numpy(float))
    rows = []
    for system in runs["system"].unique():
        if system == of:
            continue
        ahead = np.log(wide.loc[of].to_numpy() / wide.loc[system].to_numpy())
        at = [crossing for seed in ahead for crossing in sign_changes(log_rates, seed)]
        if (ahead > 0).all() or (ahead < 0).all():
            rows.append([str(system), f"{'cheaper' if ahead[0, 0] > 0 else 'dearer'} at all rates", ""])
            continue
        if not at:
            rows.append([str(system), "nowhere", ""])
            continue
        estimate, low, high = np.exp(mean_interval(at)[:3])
        rows.append(
            [str(system), f"{estimate:.2g} ({low:.2g} to {high:.2g})", f"{len(at)} times in {len(ahead)} seeds"]
        )
    yield from markdown([f"against {of}, {market}", "costs the same at requests/s", "found"], rows)


def sign_changes(x: np.ndarray, y: np.ndarray) -> list[float]:
    """Where the line through the points crosses zero."""
    return [
        float(x[i] - y[i] * (x[i + 1] - x[i]) / (y[i + 1] - y[i])) for i in range(len(x) - 1) if y[i] * y[i + 1] < 0
    ]


def picture(runs: pd.DataFrame) -> Picture:
    """Over the rate: the share of SLOs met, and USD a month in each market; means over seeds."""
    columns = {"met": "SLOs met (%)", **dict.fromkeys(MARKETS, "USD a month")}
    means = runs.groupby(["system", "rate"], sort=False)[list(columns)].mean().reset_index()
    means["met"] *= 100
    names = [str(name) for name in means["system"].unique()]
    of = styles(names)
    with mpl.rc_context(LOOK):
        figure, ((*panels,),) = canvas("text", 2.5, cols=len(columns))
        for axes, (column, label) in zip(panels, columns.items(), strict=True):
            for name in names:
                own, style = means[means["system"] == name], of[name]
                axes.plot(own["rate"], own[column], color=style.color, linestyle=style.dash, marker=style.marker)
            axes.set(xscale="log", xlabel="requests/s", ylabel=label, yscale="linear" if column == "met" else "log")
            axes.set_title(column if column in MARKETS else "", fontsize="medium")
            log_ticks(axes.xaxis)
            axes.grid(axis="y")
        legend_above(figure, [handle(of[name], "lines") for name in names], names, "text")
    return Picture(figure, means)


def report(folder: Path) -> Iterator[str]:
    """All tables of a run."""
    runs = figures(load(folder))
    yield from by_rate(runs.assign(**{"SLOs met": runs["met"]}), "SLOs met", ".1%")
    yield from by_rate(runs[runs["system"] == FEWEST].assign(GPUs=runs["gpus"]), "GPUs", ".3g")
    for market in MARKETS:
        yield from by_rate(runs.assign(**{f"USD a month, {market}": runs[market]}), f"USD a month, {market}", ",.0f")
        yield from cheapest(runs, market)
        yield from crossings(runs, market, "serverless-lora")
        yield from crossings(runs, market, FEWEST)


if __name__ == "__main__":
    fill_in(__doc__, lambda runs: report(runs.folder), lambda runs: picture(figures(runs)), "rentable")
