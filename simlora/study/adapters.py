"""``functions from-peft``: folders in, a functions table out, and what was found in each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from simlora.errors import ConfigError
from simlora.study.console import listing
from simlora.study.peft import read_adapter, write_functions

if TYPE_CHECKING:
    from rich.table import Table


def table_from_peft(folders: Sequence[Path], out: Path, backbones: Sequence[str], slo_ttft_s: float | None) -> Table:
    """Write the functions table; returns what each folder holds. :class:`ConfigError` for the first that is bad."""
    if slo_ttft_s is not None and not 0 < slo_ttft_s < math.inf:
        raise ConfigError(f"--slo-ttft-s: found {slo_ttft_s:g}; allowed: seconds above 0")
    named = dict(map(_named, backbones))
    adapters = [read_adapter(folder, named) for folder in folders]
    write_functions(adapters, out, slo_ttft_s)
    table = listing("function", "backbone", "rank", "target modules", "MB at 2 bytes a parameter", "MB in the file")
    for one in adapters:
        sizes = (f"{size / 1e6:.1f}" for size in (one.bytes, one.file_bytes))
        table.add_row(one.function, one.backbone, str(one.rank), " ".join(one.target_modules), *sizes)
    return table


def _named(text: str) -> tuple[str, str]:
    base, equals, name = text.rpartition("=")
    if not equals or not base or not name:
        raise ConfigError(f"--backbone {text}: expected BASE=NAME")
    return base, name
