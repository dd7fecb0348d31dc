"""The ranking as tables for people, and as rows of ``ranking.csv``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from simlora.arena.ranking import ORDERS, OVERALL, Standing
from simlora.arena.timing import DecisionTime, Times
from simlora.results.statistics import Interval
from simlora.study.tables import ONE_SEED, interval_text

if TYPE_CHECKING:
    from rich.table import Table


class _Figure(NamedTuple):
    title: str
    form: str


FIGURES = {
    "ttft_mean_s": _Figure("TTFT mean (s)", ".3g"),
    "slo_attainment": _Figure("SLO attainment", ".1%"),
    "cost_usd": _Figure("cost (USD)", ".3g"),
    "cost_effectiveness": _Figure("cost-effectiveness", ".3g"),
}
TOGETHER = (
    "over all scenarios: geometric means of TTFT and cost-effectiveness, the mean of SLO attainment, the sum of cost"
)
COLUMNS = (
    "less the best: best registered policy that is not told the future, paired over seeds; gap closed: from the worst "
    "of them (0 %) to what nothing beats on this engine (100 %); decision: processor time of a call, its mean and p99 "
    "(over all scenarios the longest)"
)
HOW_SURE = "means over seeds, 95 % intervals; * the interval leaves out 0, and the seeds are enough to say so"


def ranking_tables(
    standings: Sequence[Standing], times: Times, why: Mapping[str, str], yours: str, by: str
) -> Iterator[Table]:
    """A table for each scenario, with ``why`` it is fought, and one for all together."""
    for scenario in dict.fromkeys(one.scenario for one in standings):
        of_scenario = [one for one in standings if one.scenario == scenario]
        seeds = next(iter(of_scenario[0].figures.values())).n
        together = f"{TOGETHER}\n{COLUMNS}\n{HOW_SURE if seeds > 1 else ONE_SEED}"
        yield _table(of_scenario, _times_of(scenario, times), why.get(scenario, together), yours, by)


def _table(standings: Sequence[Standing], times: Mapping[str, DecisionTime], why: str, yours: str, by: str) -> Table:
    from rich.table import Table

    ranked = FIGURES[ORDERS[by].column]
    table = Table(title=f"{standings[0].scenario}, by {ranked.title}", caption=why)
    table.add_column("", justify="right")
    table.add_column("policy", no_wrap=True)
    lost = any(one.finished < 1 for one in standings)
    titles = [figure.title for figure in FIGURES.values()]
    titles[1:1] = ["less the best", "gap closed"]
    for title in [*titles, *(["finished"] if lost else []), "decision (us)"]:
        table.add_column(title, justify="right")
    for one in standings:
        cells = [interval_text(one.figures[column], figure.form) for column, figure in FIGURES.items()]
        cells[1:1] = [_difference(one, ranked.form), interval_text(one.gap, ".0%") if one.gap else ""]
        cells += [f"{one.finished:.1%}"] if lost else []
        time = times.get(one.policy)
        cells.append(f"{time.mean_us:,.0f}, {time.p99_us:,.0f}" if time and time.calls else "-")
        table.add_row(str(one.rank or ""), one.policy, *cells, style="bold" if one.policy == yours else None)
    return table


def _difference(one: Standing, form: str) -> str:
    if one.difference is None:
        return "best" if one.rank else ""
    signed = f"+{form}"
    return interval_text(one.difference, signed, "*" if one.is_real else "")


def _times_of(scenario: str, times: Times) -> dict[str, DecisionTime]:
    if scenario != OVERALL:
        return {policy: time for (policy, where), time in times.items() if where == scenario}
    by_policy: dict[str, list[DecisionTime]] = {}
    for (policy, _), time in times.items():
        if time.calls:
            by_policy.setdefault(policy, []).append(time)
    return {policy: _over_all(found) for policy, found in by_policy.items()}


def _over_all(times: Sequence[DecisionTime]) -> DecisionTime:
    calls = sum(time.calls for time in times)
    return DecisionTime(
        calls, sum(time.calls * time.mean_us for time in times) / calls, max(time.p99_us for time in times)
    )


def ranking_rows(standings: Sequence[Standing], yours: str) -> list[dict[str, Any]]:
    """The standings as rows of a CSV: the same for the same runs, so without decision times."""
    return [
        {
            "scenario": one.scenario,
            "rank": one.rank,
            "policy": one.policy,
            "yours": one.policy == yours,
            "seeds": next(iter(one.figures.values())).n,
            "finished": one.finished,
            **{key: value for name, found in one.figures.items() for key, value in _parts(name, found).items()},
            **_parts("difference", one.difference),
            "difference_is_real": one.is_real,
            **_parts("gap_closed", one.gap),
        }
        for one in standings
    ]


def _parts(name: str, found: Interval | None) -> dict[str, float]:
    values = (math.nan,) * 3 if found is None else (found.estimate, found.low, found.high)
    return dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))
