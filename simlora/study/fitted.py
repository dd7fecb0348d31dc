"""Tables that fit the characters there are on a line, without a number that is broken or cut."""

from __future__ import annotations

import copy
import textwrap
from collections.abc import Iterator, Sequence

from rich.table import Column, Table
from rich.text import Text

BESIDE_A_CELL = 3
"""Characters of padding and border."""


def fitted(table: Table, width: int) -> Iterator[Table]:
    """The table; where its numbers (columns to the right) leave too little room, in parts with the same names.

    Headings of numbers are broken into lines first, and texts may be.
    """
    if _wide(table.columns, False) <= width:
        yield table
        return
    for column in table.columns:
        if column.justify == "right":
            column.header = textwrap.fill(
                str(column.header), max(map(_longest_line, column.cells)), break_long_words=False
            )
            column.no_wrap = True
        else:
            column.overflow = "fold"
    names = [at for at, column in enumerate(table.columns) if column.justify != "right"]
    shown: list[int] = []
    for at in range(len(table.columns)):
        if at in names:
            continue
        if shown and _wide([table.columns[place] for place in (*names, *shown, at)], True) > width:
            yield _part(table, [*names, *shown], None)
            shown = []
        shown.append(at)
    yield _part(table, [*names, *shown], table.caption)


def _part(table: Table, places: Sequence[int], caption: object) -> Table:
    part = copy.copy(table)
    part.columns, part.rows, part.caption = [], [], caption  # type: ignore[assignment]
    for place in places:
        column = table.columns[place]
        part.add_column(
            column.header, justify=column.justify, overflow=column.overflow, no_wrap=column.no_wrap,
            max_width=column.max_width,
        )  # fmt: skip
    for row, *cells in zip(table.rows, *(table.columns[place].cells for place in places), strict=True):
        part.add_row(*cells, style=row.style, end_section=row.end_section)
    return part


def _wide(columns: Sequence[Column], least: bool) -> int:
    """Characters of a line of these columns; ``least``: with texts broken wherever there is a space."""
    return 1 + sum(_width(column, least and column.justify != "right") + BESIDE_A_CELL for column in columns)


def _width(column: Column, by_words: bool) -> int:
    texts = [column.header, *column.cells]
    if by_words and not column.no_wrap:
        return max(_longest_line("\n".join(_plain(text).split())) for text in texts)
    return max(map(_longest_line, texts))


def _longest_line(text: object) -> int:
    return max((len(line) for line in _plain(text).splitlines()), default=0)


def _plain(text: object) -> str:
    return Text.from_markup(str(text)).plain
