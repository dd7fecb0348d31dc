"""Before results: what is asked of the cluster, beside what is there. It says in which regime results will hold."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from simlora.cluster.machines import Machines, gpus_text
from simlora.entities import Function
from simlora.latency import Profile
from simlora.study.console import stderr
from simlora.study.grid import Cell, Grid, Group
from simlora.study.numbers import written
from simlora.study.workloads import digest, workload_of

if TYPE_CHECKING:
    from rich.table import Table

    from simlora.workload import Workload


@dataclass(frozen=True)
class Traffic:
    """One workload as far as it matters before it is run; ``service_s``: the mean over the cluster's GPUs."""

    group: Group
    digest: str
    requests: int
    largest_share: float
    service_s: float
    provenance: str


@dataclass(frozen=True)
class Regime:
    """One scenario at one sweep point: means over seeds, wanted against there."""

    scenario: str
    point: str
    requests: float
    offered_per_s: float
    largest_share: float
    wanted_gpu_s: float
    there_gpu_s: float
    unshared_bytes: int
    shared_bytes: int
    there_bytes: int
    gpus: str
    failures: str


def survey(grid: Grid) -> list[Traffic]:
    """Build every workload once, and say if its lengths lie beyond what was measured.

    Raises :class:`TraceError` or :class:`ConfigError` with the scenario's place in the file.
    """
    names = [scenario.name for scenario in grid.study.experiment.scenario]
    traffic = []
    machines = {cell.group[:2]: cell.machines for cell in reversed(grid.cells)}
    for cell in grid.workloads:
        with grid.study.document.at("scenario", names.index(cell.scenario)):
            workload = workload_of(cell.settings["workload"], cell.base_dir)
        with warnings.catch_warnings(action="ignore"):  # of each model; one line for all of a profile follows
            traffic.append(_traffic(cell, workload, machines[cell.group[:2]]))
    profiles = [kind.profile for kinds in machines.values() for kind in kinds]
    beyond = dict.fromkeys(profile.kernels.name for profile in profiles if any(profile.out_of_range().values()))
    if beyond:
        stderr().print(f"some requests are longer than what was measured of {', '.join(beyond)}, hence less certain")
    return traffic


def _traffic(cell: Cell, workload: Workload, machines: Sequence[Machines]) -> Traffic:
    functions = cell.functions
    mean_s = sum(kind.gpus * _service_s(workload, functions, kind.profile) for kind in machines) / cell.cluster.gpus
    counts = np.bincount(workload.function, minlength=len(functions))
    return Traffic(
        cell.group,
        digest(workload),
        len(workload),
        float(counts.max() / max(len(workload), 1)),
        mean_s,
        workload.provenance,
    )


def _service_s(workload: Workload, functions: Sequence[Function], profile: Profile) -> float:
    """GPU-seconds of all requests, each served alone: prefill, then its decode steps one by one."""
    columns = np.column_stack([workload.function, workload.prompt_tokens, workload.output_tokens])
    shapes, counts = np.unique(columns, axis=0, return_counts=True)
    total_s = 0.0
    for (index, prompt, output), count in zip(shapes.tolist(), counts.tolist(), strict=True):
        function = functions[index]
        model = profile.model(function.backbone, function.target_modules)
        line = model.decode_line(1, 1, function.rank)
        alone_s = model.prefill_s([prompt], [function.rank]) + model.span_s(line, prompt, 1, output - 1)
        total_s += count * alone_s * function.backbone.tensor_parallel
    return total_s


def regimes(grid: Grid, traffic: Sequence[Traffic]) -> list[Regime]:
    """One line for each scenario and sweep point, sizes and service times by the first system's engine."""
    firsts: dict[tuple[str, str], Cell] = {}
    for cell in grid.cells:
        firsts.setdefault((cell.scenario, cell.point), cell)
    return [_regime(cell, [t for t in traffic if t.group[:2] == key]) for key, cell in firsts.items()]


def _regime(cell: Cell, seeds: Sequence[Traffic]) -> Regime:
    machines = cell.machines
    duration_s = cell.settings["workload"]["duration_s"]
    functions, gpus = cell.functions, cell.cluster.gpus
    contexts_bytes = sum(stage.device_bytes for stage in machines[0].profile.startup)
    wide = {function: function.backbone.tensor_parallel for function in functions}
    own_bytes = sum(wide[function] * (function.adapter_shard_bytes + contexts_bytes) for function in functions)
    backbones = dict.fromkeys(function.backbone for function in functions)
    requests = float(np.mean([t.requests for t in seeds]))
    return Regime(
        cell.scenario,
        cell.point,
        requests,
        requests / duration_s,
        float(np.mean([t.largest_share for t in seeds])),
        float(np.mean([t.service_s for t in seeds])),
        gpus * duration_s,
        own_bytes + sum(function.backbone.weights_bytes for function in functions),
        own_bytes + sum(backbone.weights_bytes for backbone in backbones),
        sum(kind.gpus * kind.profile.gpu.usable_bytes for kind in machines),
        gpus_text(machines),
        ", ".join(map(str, cell.failures)),
    )


def regime_table(found: Sequence[Regime], engine: str) -> Table:
    """The regimes as a table."""
    from rich.table import Table

    table = Table(
        title="Regime", caption=f"requests served one at a time under {engine}; bytes of one instance per function"
    )
    table.add_column("scenario")
    table.add_column("point")
    table.add_column("GPUs")
    for name in ("requests", "req/s", "largest function", "GPU-s wanted / there", "GB unshared / shared / there"):
        table.add_column(name, justify="right")
    failing = any(r.failures for r in found)
    if failing:
        table.add_column("failures")
    for r in found:
        gb = " / ".join(f"{size / 1e9:,.0f}" for size in (r.unshared_bytes, r.shared_bytes, r.there_bytes))
        load = f"{r.wanted_gpu_s:,.0f} / {r.there_gpu_s:,.0f} ({r.wanted_gpu_s / r.there_gpu_s:.0%})"
        share = f"{r.largest_share:.0%}"
        table.add_row(
            r.scenario,
            r.point,
            r.gpus,
            f"{r.requests:,.0f}",
            written(r.offered_per_s),
            share,
            load,
            gb,
            *([r.failures] if failing else []),
        )
    return table
