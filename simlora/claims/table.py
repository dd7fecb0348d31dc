"""Claims as a table: on a terminal, and as Markdown for a page."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from simlora.claims.claim import Claim
from simlora.claims.deciding import DECISION
from simlora.claims.verdict import Judged
from simlora.study.numbers import written

if TYPE_CHECKING:
    from rich.table import Table

HEADER = ("claim", "paper", "here (95 %)", "verdict", "why")


def claims_tables(judged: Sequence[Judged]) -> Iterator[Table]:
    """A table for each view."""
    from rich.table import Table

    for view in dict.fromkeys(one.claim.view for one in judged):
        table = Table(
            title=view, caption="median over seeds and its 95 % interval; the rule: simlora/claims/verdict.py"
        )
        for name in HEADER:
            table.add_column(name, overflow="fold")
        for one in judged:
            if one.claim.view == view:
                table.add_row(one.claim.claim, published(one.claim), ours(one), one.verdict, one.claim.why)
        yield table


def markdown(judged: Sequence[Judged], beside: Path) -> Iterator[str]:
    """The same as lines of Markdown, with links from a page in the folder ``beside``."""
    for view in dict.fromkeys(one.claim.view for one in judged):
        yield f"**{view[:1].upper()}{view[1:]}**"
        yield ""
        yield f"| {' | '.join(HEADER)} |"
        yield "|---" * len(HEADER) + "|"
        for one in judged:
            if one.claim.view == view:
                why = f"{one.claim.why}{_evidence(one.claim, beside)}"
                cells = (one.claim.claim, published(one.claim), ours(one), one.verdict, why)
                yield f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
        yield ""


def published(claim: Claim) -> str:
    """``up to 4.7x``; a dash where nothing is."""
    if claim.paper is None:
        return "-"
    return f"{claim.says} {with_unit(f'{claim.paper:,.6g}', claim.unit)}".strip()


def ours(one: Judged) -> str:
    """``6.1x (4.1 to 8.1), 7b normal``; a dash where nothing was found."""
    if one.found is None:
        return "-"
    estimate = with_unit(written(one.found.estimate), one.claim.unit)
    interval = "" if one.found.low != one.found.low else f" ({written(one.found.low)} to {written(one.found.high)})"
    return f"{estimate}{interval}" + (f", {one.scenario}" if len(one.claim.scenarios) > 1 else "")


def with_unit(number: str, unit: str) -> str:
    """``4.7x``, ``45 %``, ``0.0446 1/(s USD)``."""
    return f"{number}{unit}" if unit == "x" else f"{number} {unit}".strip()


def _evidence(claim: Claim, beside: Path) -> str:
    """A link to the page of the claim's experiment, unless this is it."""
    path = os.path.relpath(claim.folder, beside)
    return "" if path == os.curdir else f" [{claim.folder.name.removeprefix('paper-')}]({path}/README.md)"


def deviation(judged: Sequence[Judged]) -> str:
    """Whether figures and verdicts are those written down, else what is furthest from it; times of decisions are of
    this machine, so only their verdicts count."""
    changed = [one for one in judged if one.verdict != one.claim.verdict]
    if changed:
        one = changed[0]
        return (
            f'{len(changed)} verdicts differ from those written down; the first: "{one.claim.claim}" is {one.verdict}'
        )
    timed = tuple(one for one in judged if one.claim.metric.startswith(DECISION))
    off = [(_off(one), one.claim.claim) for one in judged if one.found is not None and one not in timed]
    furthest, claim = max(off, default=(0.0, ""))
    if furthest <= SAME:
        return "matches what is written down"
    return f'largest deviation from what is written down: {furthest:.1%}, "{claim}"'


SAME = 1e-3
"""Written down are six digits; a machine with other libraries may differ in the last ones."""


def _off(one: Judged) -> float:
    assert one.found is not None
    written_down = math.nan if one.claim.ours is None else one.claim.ours
    if one.found.estimate == written_down:
        return 0.0
    off = abs(one.found.estimate - written_down) / abs(written_down) if written_down else math.inf
    return math.inf if math.isnan(off) else off
