"""``validate``: how far off a prediction is on this machine."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from simlora.cli.ending import to_the_end


class Device(StrEnum):
    """What torch calls it."""

    CUDA = "cuda"
    CPU = "cpu"


def validate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The experiment (TOML).")],
    device: Annotated[Device, typer.Option(help="GPUs, or the processor for tiny models.")] = Device.CUDA,
    out: Annotated[
        Path | None, typer.Option(help="Folder; without it results/EXPERIMENT-validation.", show_default=False)
    ] = None,
    models: Annotated[
        Path | None, typer.Option(help="Folder of model folders; without it OUT/models.", show_default=False)
    ] = None,
    minutes: Annotated[float, typer.Option(min=0, help="Begin no further real run after so long.")] = 60.0,
    sets: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=V", help="Put a value over the file. Repeatable.")
    ] = None,
) -> None:
    """Predict an experiment, run it for real on this machine, and report how far apart they are."""
    from simlora.doctor.report import tell
    from simlora.validate.run import validate as run
    from simlora.validate.seal import SEAL

    if out is None or not (out / SEAL).is_file():
        tell(device.value, out or Path("results"))
    to_the_end(lambda: run(file, device.value, out, models, minutes, sets or ()))
