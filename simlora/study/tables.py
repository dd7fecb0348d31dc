"""After results: each system's figures with intervals over seeds, and how it stands to the first."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from simlora.results.statistics import Interval, gap_closed, mean_interval, paired_ratio
from simlora.study.numbers import written

if TYPE_CHECKING:
    from rich.table import Table

Row = Mapping[str, Any]


class Shown(NamedTuple):
    """A column: its heading, its value in a row of ``summary.csv``, and how it is written."""

    title: str
    value: Callable[[Row], float]
    form: str


SHOWN = (
    Shown("TTFT mean (s)", lambda row: row["ttft_mean_s"], ".3g"),
    Shown("TTFT p99 (s)", lambda row: row["ttft_p99_s"], ".3g"),
    Shown("finished", lambda row: row["finished"] / max(row["requests"], 1), ".1%"),
    Shown("rejected", lambda row: row["rejected"] / max(row["requests"], 1), ".1%"),
    Shown("failed", lambda row: row["failed"] / max(row["requests"], 1), ".1%"),
    Shown("SLO attainment", lambda row: row["slo_attainment"], ".1%"),
    Shown("cost (USD)", lambda row: row["cost_usd"], ".3g"),
    Shown("cold starts", lambda row: row["cold_starts"] / max(row["requests"], 1), ".1%"),
    Shown("cost-effectiveness", lambda row: row["cost_effectiveness"], ".3g"),
)
ONE_SEED = "one seed: no interval"
NAME_WIDTH = 20
"""Characters of a system's name on one line; they are never cut, however narrow the terminal."""
SMALL_IS_GOOD = tuple(shown for shown in SHOWN if shown.title.startswith(("TTFT", "cost (")))
UNSERVED = ("rejected", "failed")
COMPARED = tuple(shown for shown in SHOWN if shown.title not in {"finished", *UNSERVED, "cold starts"})


def tables(rows: Sequence[Row], bounds: Collection[str] = ()) -> Iterator[Table]:
    """For every scenario and sweep point the figures of all systems, then their ratios to the first one's.

    ``bounds``: those among the systems that are relaxations; to the first of them the share of the way is shown, too.
    """
    for scenario, point in dict.fromkeys((row["scenario"], row["point"]) for row in rows):
        by_system: dict[str, dict[int, Row]] = {}
        for row in rows:
            if (row["scenario"], row["point"]) == (scenario, point):
                by_system.setdefault(row["system"], {})[row["seed"]] = row
        title = scenario if point == "base" else f"{scenario}, {point}"
        yield _figures(title, by_system)
        if len(by_system) > 1:
            yield _ratios(title, by_system)
        bound = next((name for name in by_system if name in bounds), None)
        if bound is not None and len(by_system) > 2:
            yield _gaps(title, by_system, bound)


def _figures(title: str, by_system: Mapping[str, Mapping[int, Row]]) -> Table:
    from rich.table import Table

    seeds = max(map(len, by_system.values()))
    caption = f"mean over seeds and its 95 % interval; seeds: {seeds}" if seeds > 1 else ONE_SEED
    rows = [row for by_seed in by_system.values() for row in by_seed.values()]
    all_finished = all(row["finished"] == row["requests"] for row in rows)
    without = ["finished"] * all_finished + [end for end in UNSERVED if not any(row[end] for row in rows)]
    columns = [shown for shown in SHOWN if shown.title not in without]
    table = Table(
        title=title,
        caption=f"{caption}; all requests finished" if all_finished else caption,
    )
    _add_columns(table, [shown.title for shown in columns])
    for name, by_seed in by_system.items():
        cells = [interval_text(mean_interval([s.value(row) for row in by_seed.values()]), s.form) for s in columns]
        table.add_row(_folded(name), *cells)
    return table


def _ratios(title: str, by_system: Mapping[str, Mapping[int, Row]]) -> Table:
    from rich.table import Table

    first = next(iter(by_system))
    caption = "paired over seeds, 95 % interval; * the interval leaves out 1, and the seeds are enough to say so"
    several = max(map(len, by_system.values())) > 1
    table = Table(title=f"{title}: ratio to {first}", caption=caption if several else ONE_SEED)
    _add_columns(table, [shown.title.partition(" (")[0] for shown in COMPARED])
    for name, by_seed in by_system.items():
        if name == first:
            continue
        both = [seed for seed in by_seed if seed in by_system[first]]
        cells = []
        for shown in COMPARED:
            own, other = ([shown.value(side[seed]) for seed in both] for side in (by_seed, by_system[first]))
            ratio = paired_ratio(own, other)
            cells.append(interval_text(ratio, ".3g", "*" if ratio.excludes(1.0) else ""))
        table.add_row(_folded(name), *cells)
    return table


def _gaps(title: str, by_system: Mapping[str, Mapping[int, Row]], bound: str) -> Table:
    """Of metrics that are best when small: how far each system is from the worst one here towards the bound."""
    from rich.table import Table

    caption = f"0 %: the worst system here; 100 %: {bound}, which nothing beats; in cost it is far off in light traffic"
    table = Table(title=f"{title}: share of the gap to {bound} closed", caption=caption)
    seeds = [seed for seed in by_system[bound] if all(seed in by_seed for by_seed in by_system.values())]
    _add_columns(table, [shown.title.partition(" (")[0] for shown in SMALL_IS_GOOD])
    values = {
        shown.title: {name: [shown.value(by_seed[seed]) for seed in seeds] for name, by_seed in by_system.items()}
        for shown in SMALL_IS_GOOD
    }
    for name in by_system:
        if name == bound:
            continue
        cells = []
        for shown in SMALL_IS_GOOD:
            of = values[shown.title]
            worst = max(of.values(), key=sum)
            cells.append(interval_text(gap_closed(of[name], worst, of[bound]), ".1%"))
        table.add_row(_folded(name), *cells)
    return table


def _add_columns(table: Table, titles: Sequence[str]) -> None:
    """A first column in which systems stay apart on a narrow terminal, too, and one for each title."""
    table.add_column("system", no_wrap=True)
    for title in titles:
        table.add_column(title, justify="right")


def _folded(name: str) -> str:
    return "\n".join(textwrap.wrap(name, NAME_WIDTH))


def interval_text(interval: Interval, form: str, mark: str = "") -> str:
    """An estimate with its interval below it; a dash where there is none."""
    if interval.estimate != interval.estimate:
        return "-"
    text = f"{written(interval.estimate, form)}{mark}"
    if interval.low != interval.low:
        return text
    return f"{text}\n[dim]{written(interval.low, form)} to {written(interval.high, form)}[/dim]"
