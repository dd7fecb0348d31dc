"""Where text for people goes: results to standard output, progress and messages to standard error."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

PIPED_WIDTH = 160
"""Characters of a line where there is no terminal that has a width."""


def stdout() -> Console:
    """For what was asked for."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else PIPED_WIDTH)


def stderr() -> Console:
    """For what is said on the way."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def listing(*columns: str) -> Table:
    """A plain table with these columns."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
