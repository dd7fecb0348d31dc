"""``compare``, ``plot``, ``cost``, ``report``, ``explain``, ``timeline``: looking at finished runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

System = Annotated[str | None, typer.Option(help="Which system's run.")]
Scenario = Annotated[str | None, typer.Option(help="Which scenario's.")]
Point = Annotated[str | None, typer.Option(help="Which sweep point's.")]
Seed = Annotated[int | None, typer.Option(help="Which seed's.")]


def compare(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Results folders; the first system counts.")],
    by_request: Annotated[
        bool, typer.Option("--by-request", help="The difference by phase, and the ten worst regressions.")
    ] = False,
) -> None:
    """Systems side by side with intervals, and their ratios to the first one, paired over seeds."""
    from simlora.study.by_request import by_request_tables, compare_by_request
    from simlora.study.console import show
    from simlora.study.looking import bounds_of, rows_of
    from simlora.study.tables import tables

    shown = (
        by_request_tables(compare_by_request(folders)) if by_request else tables(rows_of(folders), bounds_of(folders))
    )
    show(*shown)


def plot(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A results folder.")],
    x: Annotated[str, typer.Option(help="Column on the x axis: scenario, a swept key, or a metric.")] = "scenario",
    y: Annotated[str, typer.Option(help="Column on the y axis.")] = "ttft_mean_s",
    curve: Annotated[str, typer.Option(help="A curve or bar for each value of this column.")] = "system",
    row: Annotated[str | None, typer.Option(help="A row of panels for each value.")] = None,
    col: Annotated[str | None, typer.Option(help="A column of panels for each value.")] = None,
    filters: Annotated[
        list[str] | None, typer.Option("--filter", metavar="COLUMN=VALUE", help="Only these rows. Repeatable.")
    ] = None,
) -> None:
    """Any column of the summary against any other, as PDF, PNG and CSV in DIR/plots."""
    from simlora.study.looking import draw

    for path in draw(folder, x, y, curve, row, col, filters or ()):
        typer.echo(path)


def cost(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A results folder.")],
    prices: Annotated[list[str], typer.Option("--prices", help="A price list, shipped or a file. Repeatable.")],
) -> None:
    """What the finished runs would have cost under other prices, and what a month of such traffic would."""
    from simlora.study.console import show
    from simlora.study.repricing import price_table, reprice

    names = [name for text in prices for name in text.split(",")]
    show(price_table(reprice(folder, names)))


def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A results folder.")],
    out: Annotated[
        Path | None, typer.Option(help="The file to write; without it DIR/report.html.", show_default=False)
    ] = None,
    scenario: Annotated[str | None, typer.Option(help="Of this scenario alone.")] = None,
    point: Annotated[str | None, typer.Option(help="Of this sweep point alone.")] = None,
    seed: Annotated[int | None, typer.Option(help="Whose single requests are shown; without it the first.")] = None,
) -> None:
    """A page that holds all there is to see: tables, interactive figures, trust, assumptions, how to run it again."""
    from simlora.report.page import write_report

    path = out or folder / "report.html"
    count = write_report(folder, path, scenario, point, seed)
    typer.echo(f"{path}: {count} figures, {path.stat().st_size / 1e6:.1f} MB")


def explain(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A results folder.")],
    request: Annotated[int, typer.Option(help="Its number in requests.parquet.")],
    system: System = None,
    scenario: Scenario = None,
    point: Point = None,
    seed: Seed = None,
    figure: Annotated[bool, typer.Option("--figure", help="Draw it, too, into DIR/plots.")] = False,
) -> None:
    """Where a request's time went, which decisions were behind it, and who held the GPU meanwhile."""
    from simlora.study.console import stdout
    from simlora.study.explaining import draw_story, explain, the_cell

    cell = the_cell(folder, system=system, scenario=scenario, point=point, seed=seed)
    for line in explain(cell, request):
        stdout().print(line, soft_wrap=True)
    if figure:
        for path in draw_story(folder, cell, request):
            typer.echo(path)


def timeline(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A results folder.")],
    out: Annotated[Path, typer.Option(help="The file to write, as JSON.")] = Path("trace.json"),
    from_s: Annotated[float, typer.Option(min=0, help="From this second of the run on.")] = 0.0,
    to_s: Annotated[float | None, typer.Option(min=0, help="Up to this second.")] = None,
    system: System = None,
    scenario: Scenario = None,
    point: Point = None,
    seed: Seed = None,
) -> None:
    """A run as a timeline for ui.perfetto.dev or chrome://tracing: instances, stages, requests, GPU memory, queues."""
    from simlora.results.trace_events import write_trace_events
    from simlora.study.explaining import the_cell
    from simlora.study.store import one_message

    cell = the_cell(folder, system=system, scenario=scenario, point=point, seed=seed)
    with one_message(out.parent):
        count = write_trace_events(cell, out, from_s, float("inf") if to_s is None else to_s)
    typer.echo(f"{out}: {count:,} events; open it at https://ui.perfetto.dev")
