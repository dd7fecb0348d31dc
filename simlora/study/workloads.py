"""The traffic of a run: built once per process for all systems that see it, and told apart by its content."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simlora.workload import Workload

DATA_VARIABLE = "SIMLORA_DATA"


def data_dir() -> Path | None:
    """The folder of real traces, if the environment names one."""
    value = os.environ.get(DATA_VARIABLE)
    return Path(value) if value else None


def workload_of(spec: Mapping[str, Any], base_dir: str) -> Workload:
    """The workload that a cell's settings describe; the same object for every system with the same settings."""
    return _build(json.dumps(spec, sort_keys=True), base_dir)


@lru_cache(maxsize=2)
def _build(spec: str, base_dir: str) -> Workload:
    from simlora.workload import build_workload

    return build_workload(**json.loads(spec), base_dir=Path(base_dir), data_dir=data_dir())


def digest(workload: Workload) -> str:
    """SHA-256 over what the requests are, whatever file or generator they came from."""
    content = hashlib.sha256()
    for column in ("arrived_s", "function", "prompt_tokens", "output_tokens", "max_new_tokens"):
        content.update(getattr(workload, column).tobytes())
    return content.hexdigest()
