"""Other prices on the usage that was recorded, and what a month of the same traffic would cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from simlora.results.prices import load_price, price_ways
from simlora.results.statistics import Interval, mean_interval
from simlora.results.summary import bill_of
from simlora.study.grid import Group
from simlora.study.looking import check_results
from simlora.study.summary import billing_windows
from simlora.study.tables import interval_text

if TYPE_CHECKING:
    from rich.table import Table

MONTH_S = 30 * 86_400.0


class Priced(NamedTuple):
    """One system under one price list: means over seeds. ``window_h``: what it is billed over."""

    scenario: str
    point: str
    system: str
    price: str
    window_h: Interval
    run_usd: Interval
    month_usd: Interval
    per_1k_usd: Interval


def reprice(folder: Path, prices: Sequence[str]) -> list[Priced]:
    """Each system of a results folder in each way that these lists can bill it, in the order of the summary.

    All systems of a seed are billed over one window: from the start until traffic is over and the last request of the
    slowest system has ended. A month is as many such windows as 30 days hold (assumption: it goes on as in the run).
    Raises :class:`ConfigError` for an unknown list, or one without the GPU of the run.
    """
    from simlora.results.load import load

    lists = {name: load_price(name) for name in prices}
    check_results(folder)
    results = load(folder)
    facts: dict[Group, list[Mapping[str, Any]]] = {}
    for cell in results.cells:
        facts.setdefault((cell.scenario, cell.point, cell.seed), []).append(cell.facts)
    windows_s = billing_windows(facts)
    bills: dict[tuple[str, str, str, str], list[_Bill]] = {}
    for cell in results.cells:
        window_s = windows_s[cell.scenario, cell.point, cell.seed]
        requests, usage = cell.table("requests"), cell.table("usage")
        for name, way in price_ways(lists, cell.facts["billing"]).items():
            usd = bill_of(requests, usage, cell.facts, window_s, way).total_usd
            bill = _Bill(usd, window_s, requests.num_rows)
            bills.setdefault((cell.scenario, cell.point, cell.system, name), []).append(bill)
    rows = results.summary[["scenario", "point", "system"]].itertuples(index=False, name=None)
    places = {row: at for at, row in enumerate(dict.fromkeys(rows))}
    in_order = sorted(bills, key=lambda key: places.get(key[:3], len(places)))
    return [_priced(key, bills[key]) for key in in_order]


class _Bill(NamedTuple):
    usd: float
    window_s: float
    requests: int


def _priced(key: tuple[str, str, str, str], bills: Sequence[_Bill]) -> Priced:
    return Priced(
        *key,
        mean_interval([bill.window_s / 3600 for bill in bills]),
        mean_interval([bill.usd for bill in bills]),
        mean_interval([bill.usd * MONTH_S / bill.window_s for bill in bills]),
        mean_interval([1e3 * bill.usd / max(bill.requests, 1) for bill in bills]),
    )


def price_table(found: Sequence[Priced]) -> Table:
    """The prices side by side."""
    from rich.table import Table

    table = Table(
        title="Cost (USD)",
        caption="mean over seeds and its 95 % interval; all systems are billed until the slowest has served its last "
        "request; a month is 30 days of such windows, its traffic that of the window",
    )
    for name in ("scenario", "point", "system", "price list"):
        table.add_column(name)
    for name in ("billed over (h)", "run", "month", "per 1,000 requests"):
        table.add_column(name, justify="right")
    for one in found:
        usd = [interval_text(interval, ".3g") for interval in (one.run_usd, one.per_1k_usd)]
        window, month = interval_text(one.window_h, ".3g"), interval_text(one.month_usd, ".3g")
        table.add_row(one.scenario, one.point, one.system, one.price, window, usd[0], month, usd[1])
    return table
