"""The public tables that profiles are fitted on, and how a command says that they are not there."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from simlora.errors import SimloraError


def public_data(inside: str) -> Path:
    """``inside`` the folder that SIMLORA_DATA names; raises :class:`SimloraError` if it is not there."""
    folder = Path(os.environ.get("SIMLORA_DATA", "")) / inside
    if not os.environ.get("SIMLORA_DATA") or not folder.exists():
        raise SimloraError(f"set SIMLORA_DATA to a folder that holds {inside} (looked for {folder})")
    return folder


def ending(work: Callable[[], None]) -> int:
    """0, or 2 after one line about what is wrong with what the command was given."""
    try:
        work()
    except SimloraError as error:
        print(error, file=sys.stderr)
        return 2
    return 0
