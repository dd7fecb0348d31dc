"""``doctor`` and ``calibrate``: what this machine is good for, and how fast it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from simlora.cli.codes import RUN_FAILED
from simlora.cli.validation import Device

Where = Annotated[Device, typer.Option(help="GPUs, or the processor for tiny models.")]


def doctor(
    device: Where = Device.CUDA,
    out: Annotated[Path, typer.Option(help="Where results and models would go.")] = Path("results"),
) -> None:
    """What calibrate and validate can rely on here; each trouble with its cure and what it rules out."""
    from simlora.doctor.check import State
    from simlora.doctor.report import examine, table
    from simlora.study.console import show

    checks = examine(device.value, out)
    show(table(checks))
    if any(check.state is State.FAIL for check in checks):
        raise typer.Exit(RUN_FAILED)


def calibrate(
    out: Annotated[Path, typer.Option(metavar="PROFILE", help="The profile to write (.toml), named after it.")],
    device: Where = Device.CUDA,
    models: Annotated[
        str | None,
        typer.Option(help="Names of `list backbones` or config.json, comma-separated; without it by device."),
    ] = None,
    minutes: Annotated[
        float, typer.Option(min=0, help="Stop measuring after so long; the same command goes on.")
    ] = 60.0,
    full: Annotated[bool, typer.Option("--full", help="More points and more samples.")] = False,
) -> None:
    """Measure this machine and fit a latency profile and an engine profile on it."""
    from simlora.doctor.report import tell
    from simlora.study.calibrating import calibrate as run

    tell(device.value, out.parent)
    for line in run(device.value, models, out, minutes, full):
        typer.echo(line)
