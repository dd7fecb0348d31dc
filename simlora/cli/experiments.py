"""``init``, ``run``, ``list``: writing an experiment, running it, and what there is to choose from."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from simlora.cli.ending import to_the_end


class What(StrEnum):
    """What ``simlora list`` can list."""

    SYSTEMS = "systems"
    POLICIES = "policies"
    PROFILES = "profiles"
    TRACES = "traces"
    PRICES = "prices"
    PROVIDERS = "providers"
    FAILURES = "failures"
    LENGTHS = "lengths"
    BACKBONES = "backbones"
    ENGINES = "engines"
    LOADERS = "loaders"
    GPUS = "gpus"
    NODES = "nodes"


def init(folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder, or an empty one.")]) -> None:
    """Write an experiment with a policy of its own, a functions table and a test."""
    from simlora.templates import write_template

    for path in write_template(folder):
        typer.echo(path)
    typer.echo(f"next: cd {folder} && simlora run experiment.toml")


def run(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The experiment (TOML).")],
    out: Annotated[
        Path | None, typer.Option(help="Results folder; without it results/EXPERIMENT.", show_default=False)
    ] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=V[,V2]", help="Put a value over the file; several make a sweep. Repeatable."
        ),
    ] = None,
    model_draws: Annotated[
        int, typer.Option(min=0, help="Also run with so many draws of the latency profile's held-out errors.")
    ] = 0,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes; without it as many as processors.", show_default=False)
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print runs, requests and minutes; run nothing.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget runs that are finished already.")] = False,
    stepwise: Annotated[
        bool, typer.Option("--stepwise", help="Simulate each engine step on its own (slower, same decisions).")
    ] = False,
) -> None:
    """Run systems x scenarios x sweep points x seeds; what is finished already is not run again."""
    from simlora.study.drawn import sweep_of
    from simlora.study.run import run_experiment

    settings = [*(sets or ()), *([sweep_of(model_draws)] if model_draws else [])]
    to_the_end(lambda: run_experiment(file, out, settings, jobs, dry_run, fresh, stepwise))


def list_what(what: Annotated[What, typer.Argument(metavar="|".join(What))]) -> None:
    """What an experiment file can name."""
    from simlora.cli import catalogue, parts
    from simlora.study.console import show

    table = {
        What.SYSTEMS: catalogue.systems,
        What.POLICIES: catalogue.policies,
        What.PROFILES: catalogue.profiles,
        What.TRACES: catalogue.traces,
        What.PRICES: catalogue.prices,
        What.PROVIDERS: catalogue.providers,
        What.FAILURES: catalogue.failures,
        What.LENGTHS: parts.lengths,
        What.BACKBONES: parts.backbones,
        What.ENGINES: parts.engines,
        What.LOADERS: parts.loaders,
        What.GPUS: parts.gpus,
        What.NODES: parts.nodes,
    }[what]()
    show(table)
