"""Who stands where: per scenario and over all of them, with what separates each policy from the best registered one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from simlora.arena.template import BOUND
from simlora.results.statistics import Interval, gap_closed, mean_interval, paired_difference

Row = Mapping[str, Any]
OVERALL = "overall"


class Order(NamedTuple):
    """What policies are ranked by: a column of ``summary.csv``, and whether less of it is better."""

    column: str
    less_is_better: bool


ORDERS = {
    "ttft": Order("ttft_mean_s", True),
    "cost": Order("cost_usd", True),
    "cost-effectiveness": Order("cost_effectiveness", False),
    "slo": Order("slo_attainment", False),
}


class Standing(NamedTuple):
    """A policy in one scenario. ``figures``: the columns of ``ORDERS`` with their intervals over seeds.

    ``difference``: of the column ranked by, this policy less the best rival, paired over seeds; none for that one.
    ``gap``: which share of the way from the worst rival to the bound it goes. Rivals are the registered policies that
    are not told the future. The bound has rank 0 and neither.
    """

    scenario: str
    rank: int
    policy: str
    figures: Mapping[str, Interval]
    finished: float
    difference: Interval | None
    gap: Interval | None

    @property
    def is_real(self) -> bool:
        """Whether the difference is: its interval leaves out 0, and the seeds are enough to say so."""
        return self.difference is not None and self.difference.excludes(0.0)


def rank(rows: Sequence[Row], yours: str, by: str, references: Sequence[str] = ()) -> list[Standing]:
    """The standings of each scenario in the order of the rows, then overall. ``by``: one of ``ORDERS``.

    ``references``: policies that are ranked and are no rivals.

    Policies that finish a larger share of the requests come first, for a mean over finished requests flatters those
    that lose some. Ties go by name.
    """
    standings: list[Standing] = []
    no_rivals = (yours, *references)
    for scenario in dict.fromkeys(row["scenario"] for row in rows):
        standings += _standings(scenario, [row for row in rows if row["scenario"] == scenario], no_rivals, ORDERS[by])
    return standings + _standings(OVERALL, over_all(rows), no_rivals, ORDERS[by])


def over_all(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """One row per policy and seed for all scenarios together, of policies that have run in all.

    Geometric means of TTFT and cost-effectiveness, so that no scenario's scale outweighs the others'; the mean of SLO
    attainment; sums of cost and requests.
    """
    places = list(dict.fromkeys((row["scenario"], row["seed"]) for row in rows))
    by_policy: dict[str, dict[tuple[str, int], Row]] = {}
    for row in rows:
        by_policy.setdefault(row["system"], {})[row["scenario"], row["seed"]] = row
    seeds = list(dict.fromkeys(seed for _, seed in places))
    complete = [policy for policy, own in by_policy.items() if len(own) == len(places)]
    return [
        {"system": policy, "seed": seed, **_together([r for (_, s), r in by_policy[policy].items() if s == seed])}
        for policy in complete
        for seed in seeds
    ]


def _together(rows: Sequence[Row]) -> dict[str, float]:
    return {
        "ttft_mean_s": _geometric_mean(row["ttft_mean_s"] for row in rows),
        "cost_effectiveness": _geometric_mean(row["cost_effectiveness"] for row in rows),
        "slo_attainment": sum(row["slo_attainment"] for row in rows) / len(rows),
        **{name: sum(row[name] for row in rows) for name in ("cost_usd", "finished", "requests")},
    }


def _geometric_mean(values: Iterable[float]) -> float:
    found = list(values)
    if not all(value > 0 for value in found):
        return math.nan
    return math.exp(math.fsum(map(math.log, found)) / len(found))


def _standings(scenario: str, rows: Sequence[Row], no_rivals: Sequence[str], order: Order) -> list[Standing]:
    by_policy: dict[str, dict[int, Row]] = {}
    for row in rows:
        by_policy.setdefault(row["system"], {})[row["seed"]] = row
    seeds = max(map(len, by_policy.values()), default=0)
    whole = {policy: own for policy, own in by_policy.items() if len(own) == seeds}
    bound = whole.pop(BOUND, None)
    ranked = sorted(whole, key=lambda policy: (*_place(whole[policy].values(), order), policy))
    rivals = [whole[policy] for policy in ranked if policy not in no_rivals]
    standings = []
    for at, policy in enumerate(ranked, start=1):
        own = whole[policy]
        apart = _over_seeds(paired_difference, order, own, rivals[0]) if rivals and own is not rivals[0] else None
        gap = _over_seeds(gap_closed, order, own, rivals[-1], bound) if rivals and bound is not None else None
        standings.append(Standing(scenario, at, policy, _figures(own), _finished(own.values()), apart, gap))
    if bound is not None:
        standings.append(Standing(scenario, 0, BOUND, _figures(bound), 1.0, None, None))
    return standings


def _figures(by_seed: Mapping[int, Row]) -> dict[str, Interval]:
    return {order.column: _over_seeds(mean_interval, order, by_seed) for order in ORDERS.values()}


def _over_seeds(statistic: Callable[..., Interval], order: Order, *sides: Mapping[int, Row]) -> Interval:
    """A statistic of the column ranked by, of one side or several, seed by seed."""
    return statistic(*([side[seed][order.column] for seed in sorted(side)] for side in sides))


def _finished(rows: Iterable[Row]) -> float:
    found = list(rows)
    return float(sum(row["finished"] for row in found) / max(sum(row["requests"] for row in found), 1))


def _place(rows: Iterable[Row], order: Order) -> tuple[float, bool, float]:
    found = list(rows)
    mean = sum(row[order.column] for row in found) / len(found)
    value = mean if order.less_is_better else -mean
    return -_finished(found), math.isnan(mean), 0.0 if math.isnan(mean) else value
