"""``new-policy``, ``arena``: a policy of one's own, and how it stands to the registered ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from simlora.cli.ending import to_the_end
from simlora.errors import ConfigError

Role = Annotated[str, typer.Argument(metavar="ROLE", help="routing, preloading, ...: a role of `list policies`.")]


def new_policy(
    role: Role,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Words, as in last-called or LastCalled.")],
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where to write it.")] = Path(),
) -> None:
    """Write a small policy that works as it is, and a test of its role's contract."""
    from simlora.arena.template import ring_of
    from simlora.templates.new_policy import write_policy

    base = ring_of(role).base
    written = write_policy(role, name, folder)
    typer.echo(written.policy)
    typer.echo(written.test)
    there = f"cd {folder} && " if folder != Path() else ""
    begun = (folder / "experiment.toml").is_file()
    init, file = ("", "experiment.toml") if begun else ("simlora init study && ", "study/experiment.toml")
    typer.echo("next:")
    typer.echo(f"  {there}pytest {written.test.name}")
    typer.echo(f"  {there}simlora arena {role} {written.name}")
    typer.echo(f"  {there}{init}simlora run {file} --set system.{base}.{role}={written.name}")


def arena(
    context: typer.Context,
    role: Role,
    policy: Annotated[str, typer.Argument(metavar="MODULE:CLASS", help="Your policy, found from here.")],
    seeds: Annotated[
        int, typer.Option(min=1, help="Paired over all policies; below 6 no difference is called real.")
    ] = 8,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes; without it as many as processors.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Results folder; without it results/arena-ROLE.", show_default=False)
    ] = None,
    by: Annotated[str, typer.Option(help="Rank by ttft, cost, cost-effectiveness or slo.")] = "ttft",
) -> None:
    """Rank your policy among all registered ones of its role, on fixed scenarios. --KEY=VALUE sets a key of it."""
    from simlora.arena.contest import run_arena

    to_the_end(lambda: run_arena(role, policy, context.args, seeds, jobs, out, by))


def gap(
    functions: Annotated[str, typer.Option(help="Numbers of functions.")] = "4,8,16,32,64",
    gpus: Annotated[str, typer.Option(help="Numbers of GPUs.")] = "1,2,4,8",
    seeds: Annotated[int, typer.Option(min=1, help="Random instances of each size.")] = 10,
    time_limit_s: Annotated[float, typer.Option("--time-limit", min=0.01, help="Seconds for each optimum.")] = 10.0,
    profile: Annotated[str, typer.Option(help="Whose sizes and times.")] = "l40s",
    out: Annotated[Path, typer.Option(help="Results folder.")] = Path("results", "gap"),
) -> None:
    """Greedy pre-loading against the optimum of its knapsack, over growing instances."""
    from simlora.study.gap import run_gap

    sizes = _numbers("--functions", functions), _numbers("--gpus", gpus)
    run_gap(*sizes, seeds, time_limit_s, profile, out)


def _numbers(option: str, text: str) -> list[int]:
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or min(found) < 1:
        raise ConfigError(f"{option} {text}: numbers of 1 or more, with commas between them, as in 4,8,16")
    return found
