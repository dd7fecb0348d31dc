"""Where the shipped coefficients are: ``traces/`` of a checkout, ``simlora/_traces`` of an installed wheel."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def shipped_dir() -> Path:
    """The folder of trace models and length quantiles."""
    installed = PACKAGE / "_traces"
    return installed if installed.is_dir() else PACKAGE.parent / "traces"
