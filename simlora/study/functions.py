"""The functions table: who is served, on which backbone, with which adapter and promise."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from simlora.cluster.machines import Machines, of_each_gpu
from simlora.entities import PROJECTIONS, Backbone, Function
from simlora.errors import ConfigError, TraceError, did_you_mean, unknown_name
from simlora.latency import Profile, fit_ttft_line, load_backbone

COLUMNS = ("function", "backbone", "rank", "target_modules", "slo_ttft_s", "slo_tpot_s", "tensor_parallel")
OPTIONAL = ("slo_tpot_s", "tensor_parallel")
ALL_MODULES = "all-linear"
WARM_FACTOR = 5.0
"""Of the ``warm-5x`` rule; a stated choice of the experiment, as ``published`` is."""

Row = dict[str, Any]


def read_functions(path: Path) -> list[Row]:
    """The checked rows of a CSV: function, backbone, rank, target_modules, slo_ttft_s[, slo_tpot_s, tensor_parallel].

    ``target_modules``: projections separated by spaces or semicolons, or ``all-linear``. An empty SLO is ``None``.
    ``tensor_parallel``: GPUs of a node that the backbone is split over, 1 if left out; one number for each backbone.
    Raises :class:`TraceError` naming file, line, column and value.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        there = did_you_mean(path.name, (other.name for other in path.parent.glob("*.csv")))
        raise TraceError(f"{path}: {error.strerror}{there}") from None
    except OSError as error:
        raise TraceError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise TraceError(f"{path}: not a UTF-8 text file ({error.reason} at byte {error.start})") from None
    reader = csv.DictReader(text.splitlines(), skipinitialspace=True)
    _check_header(path, [name.strip() for name in reader.fieldnames or ()])
    rows: list[Row] = []
    lines: dict[str, int] = {}
    split: dict[str, int] = {}
    for raw in reader:
        row = _row(raw, path.parent, f"{path}:{reader.line_num}")
        first = lines.setdefault(row["function"], reader.line_num)
        if first != reader.line_num:
            raise TraceError(f'{path}:{reader.line_num}: function "{row["function"]}" is on line {first} already')
        if row["tensor_parallel"] != split.setdefault(row["backbone"], row["tensor_parallel"]):
            what = f"tensor_parallel must be the same for all functions of {row['backbone']}"
            found = f"found {split[row['backbone']]} and {row['tensor_parallel']}"
            raise TraceError(f"{path}:{reader.line_num}: {what} ({found})")
        rows.append(row)
    if not rows:
        raise TraceError(f"{path}: the functions table is empty; it needs a line for each function")
    return rows


def _check_header(path: Path, names: Sequence[str]) -> None:
    if not names:
        raise TraceError(f"{path}: the functions table is empty; its first line must be: {', '.join(COLUMNS)}")
    for name in names:
        if name not in COLUMNS:
            raise TraceError(f'{path}:1: no column "{name}" in a functions table{did_you_mean(name, COLUMNS)}')
    for name in COLUMNS:
        if name not in names and name not in OPTIONAL:
            raise TraceError(f'{path}:1: column "{name}" is missing (found {", ".join(names)})')


def _row(raw: Mapping[str | None, Any], folder: Path, where: str) -> Row:
    if None in raw:
        raise TraceError(f"{where}: more cells than columns (found {raw[None]})")
    cells = {str(name).strip(): (value or "").strip() for name, value in raw.items()}
    for name in ("function", "backbone", "rank", "target_modules"):
        if not cells[name]:
            raise TraceError(f"{where}: {name} is empty")
    cells["tensor_parallel"] = cells.get("tensor_parallel") or "1"
    for name in ("rank", "tensor_parallel"):
        if not cells[name].isdecimal() or int(cells[name]) < 1:
            raise TraceError(f"{where}: {name} must be a positive integer (found {cells[name]!r})")
    try:
        resolve_backbone(cells["backbone"], folder, int(cells["tensor_parallel"]))
    except ConfigError as error:
        raise TraceError(f"{where}: {error}") from None
    return {
        "function": cells["function"],
        "backbone": cells["backbone"],
        "rank": int(cells["rank"]),
        "target_modules": parse_modules(cells["target_modules"], where),
        "slo_ttft_s": _seconds(cells["slo_ttft_s"], "slo_ttft_s", where),
        "slo_tpot_s": _seconds(cells.get("slo_tpot_s", ""), "slo_tpot_s", where),
        "tensor_parallel": int(cells["tensor_parallel"]),
    }


def parse_modules(text: str, where: str) -> list[str]:
    """The projections that a cell names; raises :class:`TraceError` for an unknown one."""
    if text == ALL_MODULES:
        return list(PROJECTIONS)
    modules = [word for word in re.split(r"[\s;,]+", text) if word]
    for module in modules:
        if module not in PROJECTIONS:
            raise TraceError(str(unknown_name("target module", module, [*PROJECTIONS, ALL_MODULES], where)))
    if len(dict.fromkeys(modules)) < len(modules):
        raise TraceError(f"{where}: target_modules names a module twice (found {text!r})")
    return modules


def _seconds(text: str, column: str, where: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise TraceError(f"{where}: {column} must be a number of seconds above 0 (found {text!r})")
    return value


def resolve_backbone(name: str, folder: Path, tensor_parallel: int) -> Backbone:
    """A backbone of the catalogue, or of a ``config.json`` (or its folder) given relative to ``folder``."""
    path = folder / name
    return load_backbone(str(path) if name.endswith(".json") or path.is_dir() else name, tensor_parallel)


def with_slo(rows: Sequence[Row], slo: str, profile: Profile, folder: Path, where: str) -> list[Row]:
    """The rows with the SLO that counts. ``published``: the table's; ``warm-5x``: by ``profile`` under its engine.

    Raises :class:`ConfigError` if the table states no ``slo_ttft_s`` where it is the rule.
    """
    if slo == "warm-5x":
        return [{**row, "slo_ttft_s": WARM_FACTOR * warm_ttft_s(row, profile, folder)} for row in rows]
    check_slo_stated(rows, where, 'which slo = "published" needs; the other choice is slo = "warm-5x"')
    return list(rows)


def check_slo_stated(rows: Sequence[Row], where: str, why: str = "which it is judged by") -> None:
    """Raise :class:`ConfigError` for the first function whose row states no ``slo_ttft_s``."""
    for row in rows:
        if row["slo_ttft_s"] is None:
            raise ConfigError(f'{where}: function "{row["function"]}" states no slo_ttft_s, {why}')


def warm_ttft_s(row: Row, profile: Profile, folder: Path) -> float:
    """T0: seconds to the first token of a lone request at a warm instance."""
    model = profile.model(
        resolve_backbone(row["backbone"], folder, row["tensor_parallel"]), tuple(row["target_modules"])
    )
    return fit_ttft_line(model, rank=row["rank"])[0]


def make_functions(rows: Sequence[Row], folder: Path) -> list[Function]:
    """The functions of a table whose rows have been checked and given their SLO."""
    return [
        Function(
            index,
            row["function"],
            resolve_backbone(row["backbone"], folder, row["tensor_parallel"]),
            row["rank"],
            tuple(row["target_modules"]),
            row["slo_ttft_s"],
            row["slo_tpot_s"],
        )
        for index, row in enumerate(rows)
    ]


def check_fit(rows: Sequence[Row], folder: Path, machines: Sequence[Machines], gpus: int | None = None) -> None:
    """Raise :class:`ConfigError` for a function that would fit none of the (first ``gpus``) GPUs when empty."""
    kinds = dict.fromkeys(islice(of_each_gpu(machines), gpus))
    for row, function in zip(rows, make_functions(rows, folder), strict=True):
        name, wide = function.backbone.name, function.backbone.tensor_parallel
        shown = name if row["backbone"] == name else f"{name} ({row['backbone']})"
        fitting = [kind.profile for kind in kinds if wide <= min(kind.gpus_per_node, gpus or wide)]
        if not fitting:
            most = max(kind.gpus_per_node for kind in kinds)
            what = f"{shown} goes on {wide} GPUs of one node, and no node has more than {most}"
            raise ConfigError(f'function "{function.id}": {what}')
        largest = max(fitting, key=lambda profile: profile.gpu.usable_bytes)
        there_bytes = int(largest.gpu.usable_bytes * largest.engine.kv.usable_fraction)
        stages_bytes = sum(stage.device_bytes for stage in largest.startup)
        need_bytes = function.backbone.shard.weights_bytes + function.adapter_shard_bytes + stages_bytes
        if need_bytes >= there_bytes:
            raise ConfigError(
                f'function "{function.id}": {shown} fits no GPU: it needs {need_bytes / 1e9:.1f} GB '
                f"{f'on each of {wide} ' if wide > 1 else ''}"
                f"with adapter and context, and {largest.gpu.title} gives {largest.engine.name} "
                f"{there_bytes / 1e9:.1f} GB"
            )
