"""Figures of finished runs that claims are about, one for each seed, in SI units.

A metric is a column of ``summary.csv``, or one of

* ``DERIVED``;
* ``request N: STAGE+STAGE``: the seconds that request N waited for these phases (:mod:`simlora.results.breakdown`);
* ``COST at LIST``: ``cost_usd`` or ``cost_effectiveness`` as a price list would have it, whatever the experiment's is;
* ``slope BACKBONE``: the seconds that a further request adds to the first token of a batch by the run's profile
  (:func:`simlora.latency.fit_ttft_line`);
* ``decision ROLE+ROLE``: the mean processor seconds of an answer of these policies, added up
  (:mod:`simlora.claims.deciding`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from simlora.claims.deciding import DECISION, decision_s
from simlora.errors import ConfigError, unknown_name
from simlora.latency import fit_ttft_line, load_backbone, load_profile
from simlora.results.breakdown import START_UP, breakdown
from simlora.results.load import Cell, Results
from simlora.results.prices import choose_prices, load_price
from simlora.results.summary import COLUMNS, bill_of
from simlora.study.grid import full_name, gpus_in
from simlora.study.summary import billing_windows

Draws: TypeAlias = "pd.Series[float]"
FEWEST = " (fewest)"
"""After an always-on system's name: with the fewest GPUs that do, whatever their number."""
DERIVED: dict[str, Callable[[pd.DataFrame, list[Cell]], Draws]] = {
    "slo_violations": lambda runs, _: 1.0 - runs["slo_attainment"],
    "decode_mean_s": lambda runs, _: runs["e2e_mean_s"] - runs["ttft_mean_s"],
    "served_per_s": lambda runs, cells: runs["finished"] / pd.Series({cell.seed: _until_s(cell) for cell in cells}),
}
REQUEST, SLOPE, AT = "request ", "slope ", " at "


def draws(results: Results, metric: str, system: str, scenario: str, point: str = "base") -> Draws:
    """The metric of each seed's run, by seed in ascending order.

    Raises :class:`ConfigError` for a metric, system, scenario or point that does not occur.
    """
    cells = _cells(results, system, scenario, point)
    if metric.startswith(DECISION):
        return pd.Series({cells[0].seed: decision_s(results.folder, metric, cells[0].system, scenario)})
    if metric.startswith(SLOPE):
        return pd.Series({cell.seed: _slope_s(cell, metric.removeprefix(SLOPE)) for cell in cells})
    if metric.startswith(REQUEST):
        return pd.Series({cell.seed: _seconds(cell, metric) for cell in cells})
    runs = results.summary
    runs = runs[(runs["system"] == cells[0].system) & (runs["scenario"] == scenario) & (runs["point"] == point)]
    runs = runs.sort_values("seed").set_index("seed")
    cost, at, price = metric.partition(AT)
    if at:
        cost_usd = pd.Series({cell.seed: _cost_usd(results, cell, price) for cell in cells})
        return cost_usd if cost == "cost_usd" else 1.0 / (runs["e2e_mean_s"] * cost_usd)
    if metric in DERIVED:
        return DERIVED[metric](runs, cells)
    if metric not in COLUMNS:
        raise unknown_name("metric", metric, [*COLUMNS, *DERIVED])
    return runs[metric]


def _cells(results: Results, system: str, scenario: str, point: str) -> list[Cell]:
    wanted, few = system.removesuffix(FEWEST), system.endswith(FEWEST)
    there = [cell for cell in results.cells if (cell.scenario, cell.point) == (scenario, point)]
    if not there:
        places = dict.fromkeys(f"{cell.scenario}, {cell.point}" for cell in results.cells)
        raise unknown_name("scenario and point", f"{scenario}, {point}", places, str(results.folder))
    if few:
        cells = [cell for cell in there if full_name(cell.system) == wanted and gpus_in(cell.system) is not None]
    else:
        cells = [cell for cell in there if cell.system == wanted]
    if not cells:
        raise unknown_name("system", system, dict.fromkeys(cell.system for cell in there), str(results.folder))
    return sorted(cells, key=lambda cell: cell.seed)


def _cost_usd(results: Results, cell: Cell, price: str) -> float:
    """What the run would have cost by this list, over the window in which all systems beside it are billed."""
    group = (cell.scenario, cell.point, cell.seed)
    beside = [one.facts for one in results.cells if (one.scenario, one.point, one.seed) == group]
    [way] = choose_prices([load_price(price)], cell.facts["billing"])
    window_s = billing_windows({group: beside})[group]
    return bill_of(cell.table("requests"), cell.table("usage"), cell.facts, window_s, way).total_usd


def _slope_s(cell: Cell, backbone: str) -> float:
    profile = load_profile(cell.facts["profile"], cell.facts["engine"])
    return fit_ttft_line(profile.model(load_backbone(backbone)))[1]


def _until_s(cell: Cell) -> float:
    """Seconds until the trace is over and the last request is served."""
    return float(max(cell.facts["duration_s"], cell.facts["end_s"]))


def _seconds(cell: Cell, metric: str) -> float:
    """Of one request the seconds of the phases named; a stage may go without its prefix."""
    number, _, names = metric.removeprefix(REQUEST).partition(":")
    requests = cell.table("requests")
    one: pa.Table = requests.filter(pc.equal(requests["request"], int(number)))
    if not one.num_rows:
        raise ConfigError(f"{metric}: {cell.folder} has {requests.num_rows} requests")
    found = {name.removeprefix(START_UP): seconds for name, seconds in breakdown(one, cell.table("events")).items()}
    wanted = names.strip().split("+")
    return sum(found.get(name, 0.0) for name in wanted)
