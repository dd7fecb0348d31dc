"""Where text for people goes: results to standard output, progress and messages to standard error."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

UNBOUNDED = 100_000
"""Characters of a line where no terminal has a width: as many as the content wants."""
TEXT_WIDTH = 110
"""Characters after which a text in a table goes on in the next line, however wide the terminal."""


def stdout() -> Console:
    """For what was asked for, as wide as the terminal, be it that of another stream."""
    from rich.console import Console

    has_width = "COLUMNS" in os.environ or any(map(os.isatty, range(3)))
    return Console(highlight=False, width=None if has_width else UNBOUNDED)


def show(*parts: RenderableType) -> None:
    """Print tables so that they fit, and what stands between them."""
    from rich.table import Table

    from simlora.study.fitted import fitted

    console = stdout()
    for part in parts:
        for shown in fitted(part, console.width) if isinstance(part, Table) else (part,):
            console.print(shown)


def stderr() -> Console:
    """For what is said on the way."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, force_jupyter=False)  # where progress needs widgets


def listing(*columns: str) -> Table:
    """A plain table with these columns."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold", max_width=TEXT_WIDTH)
    return table
