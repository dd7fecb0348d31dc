"""``claims``: a paper's claims beside what comes out here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from simlora.cli.ending import to_the_end


def claims(
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Of this experiment of the paper alone. Repeatable.")
    ] = None,
    where: Annotated[Path, typer.Option("--from", help="The folder of the experiments.")] = Path("experiments"),
    out: Annotated[Path, typer.Option(help="The folder of their results folders.")] = Path("results"),
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes; without it as many as processors.", show_default=False)
    ] = None,
) -> None:
    """The paper's claims: its figure, ours with an interval, a verdict, the reason; runs what is not finished yet."""
    from simlora.claims.run import run_claims

    to_the_end(lambda: run_claims(where, only or (), out, jobs))
