"""Pieces of HTML: tables as the terminal shows them, and texts in which nothing is mistaken for markup."""

from __future__ import annotations

import base64
import gzip
import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from rich.text import Text

if TYPE_CHECKING:
    from rich.table import Table


def table_html(table: Table, within: str = "") -> str:
    """A table of the terminal: dim text is small, numbers stand to the right, names are not broken.

    ``within``: the heading above it, which its title need not repeat.
    """
    columns = [(_cell(str(column.header)), "n" if column.justify == "right" else "") for column in table.columns]
    head = "".join(f"<th{_class(kind)}>{name}</th>" for name, kind in columns) if table.show_header else ""
    texts = [list(column.cells) for column in table.columns]
    lines = [
        "".join(
            f"<td{_class(kind)}>{_cell(str(cells[at]), joined=column.no_wrap is True and not kind)}</td>"
            for cells, column, (_, kind) in zip(texts, table.columns, columns, strict=True)
        )
        for at in range(table.row_count)
    ]
    title = str(table.title or "").removeprefix(within).removeprefix(": ")
    return _framed(title[:1].upper() + title[1:], head, lines, str(table.caption or ""))


def rows_html(title: str, names: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """A table of texts; `code` in back quotes."""
    head = "".join(f"<th>{escape(name)}</th>" for name in names) if any(names) else ""
    return _framed(title, head, ["".join(f"<td>{coded(cell)}</td>" for cell in row) for row in rows], caption)


def coded(text: str) -> str:
    """Text whose `names` in back quotes are set as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def folded(summary: str, content: str, is_open: bool = False) -> str:
    """Content that the reader unfolds."""
    return f"<details{' open' if is_open else ''}><summary>{escape(summary)}</summary>{content}</details>"


def listing_html(text: str) -> str:
    """A file, as it is."""
    return f"<pre>{escape(text)}</pre>"


def packed(text: str) -> str:
    """A text compressed, as letters; the same text gives the same letters."""
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def _framed(title: str, head: str, lines: Iterable[str], caption: str) -> str:
    name = f"<h4>{escape(title)}</h4>" if title else ""
    note = f'<p class="note">{escape(caption)}</p>' if caption else ""
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    top = f"<thead><tr>{head}</tr></thead>" if head else ""
    return f'{name}<div class="scroll" tabindex="0"><table>{top}<tbody>{body}</tbody></table></div>{note}'


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""


def _cell(markup: str, joined: bool = False) -> str:
    text = Text.from_markup(markup.replace("\n", " ") if joined else markup)
    parts, at = [], 0
    for span in text.spans:
        parts += [escape(text.plain[at : span.start]), f"<small>{escape(text.plain[span.start : span.end])}</small>"]
        at = span.end
    return "".join([*parts, escape(text.plain[at:])]).replace("\n", "<br>")
