"""The key of a cell: what its result depends on, so that exactly the cells concerned run again after a change."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import simlora
from simlora.latency.engines import HERE as ENGINES
from simlora.latency.hardware import CATALOGUE as HARDWARE
from simlora.latency.loaders import CATALOGUE as LOADERS
from simlora.latency.profile import HERE as PROFILES
from simlora.policies.base import ROLES
from simlora.results.prices import HERE as PRICES
from simlora.study.grid import Cell

PACKAGE = Path(simlora.__file__).parent
SIMULATOR = ("engine", "cluster", "backends", "policies", "latency", "workload")
"""Packages whose source decides what a run does; metrics and dollars are computed from its record each time."""


def cell_key(cell: Cell, workload_digest: str, stepwise: bool = False) -> str:
    """SHA-256 over all a run depends on: settings, traffic, data files, version, and the source of the code that runs.

    Prices are not part of it, but for a list that the system's policies weigh: usage is recorded first, and dollars are
    computed from it each time.
    """
    settings = cell.settings
    base_dir = Path(cell.base_dir)
    content = {
        "settings": {key: value for key, value in settings.items() if key != "functions_dir"},
        "workload": workload_digest,
        "stepwise": stepwise,
        "version": simlora.__version__,
        "simulator": simulator_digest(),
        "files": [
            *(_file_digest(_data_file(name, PROFILES, base_dir)) for name in _profiles(settings)),
            _file_digest(_data_file(settings["system"]["engine"], ENGINES, base_dir)),
            _file_digest(LOADERS),
            _file_digest(HARDWARE),
            *_price_digests(settings["system"]["price"], base_dir),
            *_backbone_digests(settings, base_dir),
        ],
        "policies": policy_digests(settings["system"], base_dir),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _profiles(settings: Mapping[str, Any]) -> Iterator[str]:
    yield settings["profile"]
    for group in settings["cluster"].get("group", ()):
        if group["profile"] is not None:
            yield group["profile"]


def _data_file(name: str, shipped: Path, base_dir: Path) -> Path:
    return base_dir / name if name.endswith(".toml") else shipped / f"{name}.toml"


def _price_digests(name: str | None, base_dir: Path) -> Iterator[str]:
    if name is not None:
        yield _file_digest(_data_file(name, PRICES, base_dir))


def _backbone_digests(settings: Mapping[str, Any], base_dir: Path) -> Iterator[str]:
    folder = base_dir / settings["functions_dir"]
    for name in dict.fromkeys(row["backbone"] for row in settings["functions"]):
        path = folder / name
        config = path / "config.json" if path.is_dir() else path
        if config.is_file():
            yield _file_digest(config)


@cache
def simulator_digest() -> str:
    """One digest of simlora's own source, as far as it decides what a run does."""
    sources = [path for name in SIMULATOR for path in sorted((PACKAGE / name).rglob("*.py"))]
    content = hashlib.sha256()
    for path in [*sources, *sorted(PACKAGE.glob("*.py")), PACKAGE / "results" / "recorder.py"]:
        content.update(f"{path.relative_to(PACKAGE)}\0".encode())
        content.update(path.read_bytes())
    return content.hexdigest()


def _file_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def policy_digests(system: Mapping[str, Any], base_dir: Path) -> dict[str, str]:
    """Digests of the user's modules that a system's policies are in, and of those they import from beside them."""
    modules = [str(system[role]["policy"]).partition(":") for role in ROLES]
    paths: dict[Path, None] = {}
    for module, colon, _ in modules:
        if colon:
            _collect(module, (base_dir, Path.cwd()), paths)
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def _collect(module: str, folders: tuple[Path, ...], paths: dict[Path, None]) -> None:
    path = _source(module, folders)
    if path is None or path in paths:
        return
    paths[path] = None
    for name in _imports(path):
        _collect(name, folders, paths)


def _source(module: str, folders: tuple[Path, ...]) -> Path | None:
    below = Path(*module.split("."))
    for folder in folders:
        for path in (folder / below.with_suffix(".py"), folder / below / "__init__.py"):
            if path.is_file():
                return path.resolve()
    return None


def _imports(path: Path) -> Iterator[str]:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # a module that no policy has imported yet; its bytes count all the same
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
