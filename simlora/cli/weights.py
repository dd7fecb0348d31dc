"""``make-model``, ``make-adapter``: weights of true shape where there are no real ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

BACKBONE = "A name of `list backbones`, or a config.json (or its folder)."
Out = Annotated[Path, typer.Option(metavar="DIR", help="The folder to write.")]
Random = Annotated[bool, typer.Option("--random", help="The weights are random numbers; there are no others.")]


def make_model(
    backbone: Annotated[str, typer.Argument(metavar="BACKBONE", help=BACKBONE)], out: Out, random: Random = False
) -> None:
    """A Hugging Face folder of a backbone's true shape: config.json and sharded safetensors."""
    from simlora.study.console import stderr
    from simlora.study.functions import resolve_backbone
    from simlora.validate.folders import check_room, write_model

    found = resolve_backbone(backbone, Path(), 1)
    _random_is_meant(random)
    if not out.exists():
        check_room([found], out)
    with stderr().status(f"{found.name}: {found.weights_bytes / 1e9:.1f} GB of random weights"):
        write_model(found, out)
    typer.echo(f"{out}: {found.name}, {found.weights_bytes / 1e9:.2f} GB")


def make_adapter(
    backbone: Annotated[str, typer.Argument(metavar="BACKBONE", help=BACKBONE)],
    out: Out,
    rank: Annotated[int, typer.Option(min=1)] = 16,
    modules: Annotated[str, typer.Option(help="Target modules, or all-linear.")] = "q_proj v_proj",
    number: Annotated[int, typer.Option(min=0, help="No two numbers give the same weights.")] = 0,
    random: Random = False,
) -> None:
    """A PEFT folder of an adapter for a backbone: adapter_config.json and safetensors."""
    from simlora.entities import Function
    from simlora.study.functions import parse_modules, resolve_backbone
    from simlora.validate.folders import write_adapter

    targets = tuple(parse_modules(modules, "--modules"))
    function = Function(number, out.name, resolve_backbone(backbone, Path(), 1), rank, targets, 1.0)
    _random_is_meant(random)
    write_adapter(function, out)
    typer.echo(
        f"{out}: rank {rank} on {', '.join(targets)}, {function.backbone.adapter_bytes(rank, targets) / 1e6:.1f} MB"
    )


def _random_is_meant(random: bool) -> None:
    from simlora.errors import ConfigError

    if not random:
        raise ConfigError("weights would be random numbers: say --random, or use a downloaded folder as it is")
