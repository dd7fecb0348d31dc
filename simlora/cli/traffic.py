"""``trace``: what traffic there is, what it looks like, and how to make a file of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from simlora.cli.codes import BAD_INPUT

app = typer.Typer(help="Real traces, trace models, generators and your own files.", no_args_is_help=True)

Trace = Annotated[str, typer.Argument(help="A name of `trace list`, or a .csv or .parquet file.")]
Functions = Annotated[
    str | None,
    typer.Option(help="A functions table, or how many unnamed functions (without it eight).", show_default=False),
]
Options = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=V", help="A key of the trace (rate_per_s=0.1). Repeatable.")
]
Lengths = Annotated[str, typer.Option(help="Token lengths, where the trace brings none.")]
Duration = Annotated[float, typer.Option(min=1.0, help="Seconds of it.")]
Scale = Annotated[float, typer.Option(help="Times as many requests.")]
Seed = Annotated[int, typer.Option(min=0)]


@app.command("list")
def list_traces() -> None:
    """All named traces, and whether each can be used here."""
    from simlora.cli import catalogue
    from simlora.study.console import show

    show(catalogue.traces())


@app.command()
def info(
    trace: Trace,
    functions: Functions = None,
    options: Options = None,
    lengths: Lengths = "gsm8k",
    duration_s: Duration = 14_400.0,
    rate_scale: Scale = 1.0,
    seed: Seed = 0,
    picture: Annotated[
        Path | None,
        typer.Option(metavar="STEM", help="Also draw it: STEM.pdf, STEM.png and STEM.csv.", show_default=False),
    ] = None,
) -> None:
    """Requests, rates, variability and lengths of a trace, function by function."""
    from simlora.study.console import show
    from simlora.study.traffic import draw_traffic, make_traffic, traffic_table

    made = make_traffic(trace, functions, options or (), lengths, duration_s, rate_scale, seed)
    show(traffic_table(made))
    for path in draw_traffic(made, picture) if picture else ():
        typer.echo(path)


@app.command()
def convert(
    trace: Trace,
    file: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write: .csv, .parquet or .jsonl.")],
    to: Annotated[str, typer.Option(help="requests, timed-trace, mooncake, aiperf or azure-llm.")] = "requests",
    functions: Functions = None,
    options: Options = None,
    lengths: Lengths = "gsm8k",
    duration_s: Duration = 14_400.0,
    rate_scale: Scale = 1.0,
    seed: Seed = 0,
) -> None:
    """Write a trace as a file: one that simlora reads, or one that a load generator replays."""
    from simlora.study.traffic import make_traffic, write_traffic

    made = make_traffic(trace, functions, options or (), lengths, duration_s, rate_scale, seed)
    typer.echo(write_traffic(made, file, to))


@app.command()
def fit(
    trace: Trace,
    file: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write: .csv.")],
    functions: Functions = None,
    options: Options = None,
    duration_s: Duration = 14_400.0,
    replica_s: Annotated[float, typer.Option(min=60.0, help="Seconds of the replica.")] = 14_400.0,
    rate_scale: Scale = 1.0,
    seed: Seed = 0,
) -> None:
    """Fit a model to a trace and write a replica drawn from it: counts per minute, of any length."""
    from simlora.study.traffic import make_traffic, write_replica

    made = make_traffic(trace, functions, options or (), "gsm8k", duration_s, rate_scale, seed)
    write_replica(made, file, replica_s, seed)
    typer.echo(f"{file}: a replica of {len(made.functions)} functions")


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A real trace of `trace list`.")],
    data: Annotated[
        Path | None, typer.Option(help="Data folder; without it the one that SIMLORA_DATA names.", show_default=False)
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="The licence is accepted: do not ask.")] = False,
) -> None:
    """Fetch a public trace from its official address, checked, into the data folder."""
    from simlora.study.console import stderr
    from simlora.study.fetching import fetch as fetch_file
    from simlora.study.fetching import find_download, target_of, terms

    download = find_download(name)
    target = target_of(download, data)
    typer.echo(terms(name, download))
    if target.exists():
        typer.echo(f"{target}: there already")
        return
    if not yes and not typer.confirm("Fetch it under this licence?"):
        raise typer.Exit(BAD_INPUT)
    with stderr().status("fetching") as status:
        fetch_file(download, target, lambda done: status.update(f"fetching: {done / 1e6:.1f} MB"))
    typer.echo(f"{target}{'; ' if download.then else ''}{download.then}")
