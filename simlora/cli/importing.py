"""``import``: what real engines measured, beside simulated runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Measurements of real engines as results folders.", no_args_is_help=True)


@app.callback()
def sources() -> None:
    """Measurements of real engines as results folders, for compare, plot and cost."""


@app.command("vllm-bench")
def vllm_bench(
    file: Annotated[
        Path, typer.Argument(metavar="RESULT", help="JSON of vllm bench serve --save-result --save-detailed.")
    ],
    trace: Annotated[Path, typer.Option(help="The requests that were sent: .csv or .parquet of `trace convert`.")],
    functions: Annotated[Path, typer.Option(help="The functions table they are for, with its SLOs.")],
    gpu: Annotated[str, typer.Option(help="What it ran on: a name of `list gpus`.")],
    gpus: Annotated[int, typer.Option(min=1, help="How many of them.")] = 1,
    prices: Annotated[str, typer.Option(help="Price list of reserved GPUs, shipped or a file.")] = "ec2-on-demand-2026",
    system: Annotated[str, typer.Option(help="What to call it.")] = "vllm measured",
    scenario: Annotated[str, typer.Option(help="The scenario of the simulated runs it is compared with.")] = "measured",
    seed: Annotated[int, typer.Option(min=0, help="The seed of the run it is compared with.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Results folder; without it results/RESULT's name.", show_default=False)
    ] = None,
) -> None:
    """Turn a measured run of vLLM into a results folder."""
    from simlora.study.importing import Measured, import_vllm_bench

    folder = out or Path("results", file.stem)
    measured = Measured(system, scenario, seed, gpu, gpus, prices)
    count = import_vllm_bench(file, trace, functions, folder, measured)
    typer.echo(f"{folder}: {count:,} requests; simlora compare {folder} DIR sets them beside others")
