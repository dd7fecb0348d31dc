"""What stands beside the results, so that they can be understood and made again."""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import tomli_w

import simlora
from simlora.study.grid import Grid
from simlora.study.hashing import simulator_digest
from simlora.study.store import one_message

PACKAGES = ("numpy", "pyarrow", "pydantic", "scipy", "simpy")


def write_manifest(grid: Grid, out: Path, command: Sequence[str]) -> None:
    """``experiment.toml`` as written, ``resolved.toml`` with every key, ``environment.json`` with the command."""
    with one_message(out):
        source, copy = grid.study.document.path, out / "experiment.toml"
        if source.resolve() != copy.resolve():
            shutil.copyfile(source, copy)
        (out / "resolved.toml").write_text(tomli_w.dumps(resolved(grid)), encoding="utf-8")
        software = {**environment(), "command": list(command)}
        (out / "environment.json").write_text(json.dumps(software, indent=1, sort_keys=True) + "\n", "utf-8")


def resolved(grid: Grid) -> dict[str, Any]:
    """Every key of the experiment at the first point of its sweep, defaults and command line included."""
    experiment = grid.study.experiment
    values = experiment.model_dump(mode="json", exclude={"system", "ablation"})
    point, systems = next(iter(grid.systems.items()))
    first = {cell.system: cell for cell in reversed(grid.cells) if cell.point == point}
    values["system"] = [one.config.model_dump(mode="json") for one in systems.values()]
    values["function"] = [{"system": name, **row} for name in systems for row in first[name].settings["functions"]]
    without: dict[str, Any] = _without_none(values)
    return without


def _without_none(value: Any) -> Any:
    """TOML has no null: a key without a value is left out."""
    if isinstance(value, Mapping):
        return {key: _without_none(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_without_none(inner) for inner in value]
    return value


def environment() -> dict[str, Any]:
    """The software that ran it."""
    return {
        "simlora": simlora.__version__,
        "simulator": simulator_digest(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "packages": {name: version(name) for name in PACKAGES},
    }
