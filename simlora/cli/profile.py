"""``profile``: what latency profiles hold, and how far to trust them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Latency profiles: what they hold, how well they fit, how two differ.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="PROFILE", help="A name of `profile list`, or one's own .toml.")]


@app.command("list")
def list_all() -> None:
    """The shipped profiles, and how many of their parts come from where."""
    from simlora.cli.catalogue import profiles
    from simlora.study.console import show as print_tables

    print_tables(profiles())


@app.command()
def show(
    profile: Name,
    engine: Annotated[str, typer.Option(help="Under which engine: a name of `list engines`.")] = "hf-eager",
) -> None:
    """Every part with its label, error, valid range and source."""
    from simlora.study.console import show as print_tables
    from simlora.study.profiles import shown

    print_tables(shown(profile, engine))


@app.command()
def report(
    profile: Name,
    out: Annotated[
        Path | None, typer.Option(help="Folder; without it results/PROFILE-fit.", show_default=False)
    ] = None,
) -> None:
    """Measured against fitted on held-out points, the roofline drawn in, residuals by size: Markdown and PNG."""
    from simlora.study.profiles import write_report

    typer.echo(write_report(profile, out or Path("results", f"{Path(profile).stem}-fit")))


@app.command()
def diff(first: Name, second: Name) -> None:
    """Seconds of kernels and moves under two profiles."""
    from simlora.study.console import show as print_tables
    from simlora.study.profiles import differences

    print_tables(differences(first, second))
