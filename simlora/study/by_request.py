"""``compare --by-request``: two systems on the same requests, which phase makes the difference, who suffers most."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from simlora.errors import ConfigError
from simlora.results.breakdown import DECODE, in_order, phases
from simlora.results.load import Cell, load
from simlora.results.statistics import paired_difference
from simlora.results.tables import Floats, Ints, numbers, words
from simlora.study.tables import interval_text

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

WORST = 10
NOTHING_S = 1e-9
"""Rounding."""
SAME = ("arrived_s", "prompt_tokens", "output_tokens")
"""What makes a request of one run the same as the request of that number of another."""


class Regression(NamedTuple):
    """A request that got its first token later, and the phase before it that grew most."""

    seed: int
    request: int
    function: str
    before_s: float
    after_s: float
    phase: str
    grew_s: float


class Compared(NamedTuple):
    """One pair of systems in one scenario: mean seconds per phase of either, seed by seed, and the worst requests."""

    title: str
    names: tuple[str, str]
    before: dict[str, list[float]]
    after: dict[str, list[float]]
    worst: list[Regression]
    left_out: int


def compare_by_request(folders: Sequence[Path]) -> list[Compared]:
    """Systems of the same name in two folders, or in one folder the first of ``summary.csv`` with each other one.

    Requests that both runs finished are compared. Raises :class:`ConfigError` where there is nothing to pair, or where
    the two did not see the same traffic.
    """
    if not 1 <= len(folders) <= 2:
        raise ConfigError(f"--by-request: one results folder or two (found {len(folders)})")
    found = []
    for names, pairs in _pairs(folders).items():
        by_place: dict[tuple[str, str], list[tuple[Cell, Cell]]] = {}
        for before, after in pairs:
            by_place.setdefault((before.scenario, before.point), []).append((before, after))
        for (scenario, point), here in by_place.items():
            title = scenario if point == "base" else f"{scenario}, {point}"
            found.append(_compared(title, names, here))
    if not found:
        raise ConfigError(f"{', '.join(map(str, folders))}: no two runs of the same scenario, sweep point and seed")
    return found


def _pairs(folders: Sequence[Path]) -> dict[tuple[str, str], list[tuple[Cell, Cell]]]:
    """Runs to compare, by the names of their sides."""
    first, last = load(folders[0]), load(folders[-1])
    pairs: dict[tuple[str, str], list[tuple[Cell, Cell]]] = {}
    systems = list(dict.fromkeys(first.summary["system"]))
    for before in first.cells:
        for after in last.cells:
            if (before.scenario, before.point, before.seed) != (after.scenario, after.point, after.seed):
                continue
            if len(folders) == 2 and before.system == after.system:
                names = tuple(f"{folder.name}: {before.system}" for folder in folders)
                pairs.setdefault((names[0], names[1]), []).append((before, after))
            elif len(folders) == 1 and before.system == systems[0] != after.system:
                pairs.setdefault((before.system, after.system), []).append((before, after))
    return pairs


def _compared(title: str, names: tuple[str, str], pairs: Sequence[tuple[Cell, Cell]]) -> Compared:
    each: list[tuple[dict[str, Floats], dict[str, Floats]]] = []
    worst: list[Regression] = []
    left_out = 0
    for before, after in pairs:
        tables = before.table("requests"), after.table("requests")
        _check_same(before, after, *tables)
        both = np.logical_and(*(words(table, "outcome").are("finished") for table in tables))
        left_out += int((~both).sum())
        mine, theirs = (
            phases(table.filter(pa.array(both)), cell.table("events"))
            for table, cell in zip(tables, (before, after), strict=True)
        )
        each.append((mine, theirs))
        worst += _regressions(before.seed, tables[0].filter(pa.array(both)), mine, theirs)
    every = in_order(name for sides in each for side in sides for name in side)
    some = [sides for sides in each if len(sides[0][DECODE])]
    means = [{name: [float(np.mean(s[at].get(name, 0.0))) for s in some] for name in every} for at in range(2)]
    worst.sort(key=lambda one: (one.before_s - one.after_s, one.seed, one.request))
    return Compared(title, names, means[0], means[1], worst[:WORST], left_out)


def _check_same(before: Cell, after: Cell, mine: pa.Table, theirs: pa.Table) -> None:
    same = mine.num_rows == theirs.num_rows and all(mine[name].equals(theirs[name]) for name in SAME)
    if not same:
        raise ConfigError(f"{before.folder} and {after.folder}: not the same requests, so there is nothing to compare")


def _regressions(seed: int, requests: pa.Table, mine: dict[str, Floats], theirs: dict[str, Floats]) -> list[Regression]:
    """The requests of one pair of runs whose TTFT grew most, the worst first."""
    early = [name for name in dict.fromkeys([*mine, *theirs]) if name != DECODE]
    none = np.zeros(requests.num_rows)
    grown = np.array([theirs.get(name, none) - mine.get(name, none) for name in early])
    total_s = grown.sum(axis=0)
    before_s = sum((mine.get(name, none) for name in early), none)
    numbered, function = numbers(requests, "request"), words(requests, "function")
    order: Ints = np.argsort(-total_s, kind="stable")[:WORST]
    found = []
    for at in order[total_s[order] > NOTHING_S].tolist():
        phase = int(np.argmax(grown[:, at]))
        of, ttft_s = function.words[function.codes[at]], float(before_s[at])
        grew = early[phase], float(grown[phase, at])
        found.append(Regression(seed, int(numbered[at]), of, ttft_s, ttft_s + float(total_s[at]), *grew))
    return found


def by_request_tables(found: Sequence[Compared]) -> Iterator[RenderableType]:
    """For each pair the difference by phase, then the worst regressions."""
    for one in found:
        yield _differences(one)
        yield _worst(one)


def _differences(one: Compared) -> Table:
    from rich.table import Table

    caption = "mean over requests that both finished, then over seeds; 95 % interval of the paired difference; * real"
    if one.left_out:
        caption += f"; {one.left_out} requests that one of them did not finish are left out"
    table = Table(title=f"{one.title}: {one.names[1]} against {one.names[0]}, by phase (s)", caption=caption)
    table.add_column("phase", no_wrap=True)
    for name in (*one.names, "difference"):
        table.add_column(name, justify="right")
    rows = {name: (one.before[name], one.after[name]) for name in one.before}
    early = [name for name in rows if name != DECODE]
    before_s, after_s = (np.sum([rows[name][side] for name in early], axis=0).tolist() for side in (0, 1))
    rows["TTFT"] = before_s, after_s
    for name, (before, after) in rows.items():
        if not any(abs(seconds) > NOTHING_S for seconds in (*before, *after)):
            continue
        difference = paired_difference(after, before)
        mark = "*" if difference.excludes(0.0) else ""
        means = (f"{np.mean(side):.3f}" if len(side) else "-" for side in (before, after))
        table.add_row(name, *means, interval_text(difference, "+.3f", mark))
    return table


def _worst(one: Compared) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    if not one.worst:
        return Text(f"{one.title}: {one.names[1]} delays no first token")
    table = Table(title=f"{one.title}: the {len(one.worst)} first tokens that {one.names[1]} delays most")
    for name in ("seed", "request"):
        table.add_column(name, justify="right")
    table.add_column("function")
    for name in (*(f"TTFT, {name} (s)" for name in one.names), "phase that grew most"):
        table.add_column(name, justify="right")
    for r in one.worst:
        grew = f"{r.phase} {r.grew_s:+.3f} s"
        table.add_row(str(r.seed), str(r.request), r.function, f"{r.before_s:.3f}", f"{r.after_s:.3f}", grew)
    return table
