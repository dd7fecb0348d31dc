"""``functions``: who is served, from what a company has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Functions tables from adapters that exist.", no_args_is_help=True)


@app.callback()
def functions() -> None:
    """Functions tables from adapters that exist."""


@app.command("from-peft")
def from_peft(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Folders of PEFT LoRA adapters.")],
    out: Annotated[Path, typer.Option(help="The table to write (CSV).")] = Path("functions.csv"),
    backbone: Annotated[
        list[str] | None,
        typer.Option(metavar="BASE=NAME", help="Which backbone a base model is; NAME or its config.json. Repeatable."),
    ] = None,
    slo_ttft_s: Annotated[
        float | None, typer.Option(help="TTFT SLO of all; without it the published ones.", show_default=False)
    ] = None,
) -> None:
    """Write the functions table of adapters: rank, target modules and backbone, checked against the tensors' shapes."""
    from simlora.study.adapters import table_from_peft
    from simlora.study.console import show

    show(table_from_peft(folders, out, backbone or (), slo_ttft_s))
    typer.echo(out)
