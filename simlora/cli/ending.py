"""How a verb that runs a grid ends: what failed, what was broken off, where the results are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from simlora.cli.codes import INTERRUPTED, NOT_DONE, RUN_FAILED

if TYPE_CHECKING:
    from simlora.study.run import Ran


def to_the_end(work: Callable[[], Ran]) -> None:
    """Do it, and say how it ended; failed runs and Ctrl-C have their exit codes."""
    from simlora.study.console import stderr

    try:
        ran = work()
    except KeyboardInterrupt as stop:
        stderr().print("interrupted; what is finished is kept, and the same command goes on from there")
        if str(stop):
            stderr().print(f"it was at {stop}; cell_timeout_s limits a run", markup=False, soft_wrap=True)
        raise typer.Exit(INTERRUPTED) from None
    for outcome in ran.failed:
        stderr().print(f"failed: {outcome.cell.folder}: {outcome.error}", markup=False, soft_wrap=True)
    if ran.written:
        stderr().print(f"results: {ran.out}", markup=False, soft_wrap=True)
    if ran.failed:
        raise typer.Exit(RUN_FAILED)
    if ran.left:
        stderr().print(f"{ran.left} runs were not begun for lack of time; the same command goes on with them")
        raise typer.Exit(NOT_DONE)
