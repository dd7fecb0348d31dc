"""What simlora tells a user who gave it something it can't use.

Every message names where (file, line or key), what was found and what is allowed. The command line turns a
:class:`SimloraError` into that one message and exit code 2; nobody sees a traceback for bad input.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SimloraError(Exception):
    """Base of all errors that are the input's fault, not the program's."""


class ConfigError(SimloraError):
    """An experiment, system, price or profile file says something that does not exist or does not fit."""


class TraceError(SimloraError):
    """A trace or table cannot be read: missing column, bad value, wrong order, truncated file."""


class PolicyError(SimloraError):
    """A policy gave an answer the engine must refuse; never silently repaired (design law 3)."""


def did_you_mean(found: str, allowed: Iterable[str]) -> str:
    """`` (did you mean "x"?)`` for the nearest allowed name, else the list of all allowed names."""
    names = sorted(allowed)
    near = difflib.get_close_matches(found, names, n=1, cutoff=0.6)
    if near:
        return f'; did you mean "{near[0]}"?'
    return f"; allowed: {', '.join(names)}" if names else ""


def before(where: str) -> str:
    """A place as a message begins with it; nothing where none is known."""
    return f"{where}: " if where else ""


def unknown_name(what: str, found: str, allowed: Iterable[str], where: str = "") -> ConfigError:
    """The error for a name that does not exist: where, what, the value found, and the nearest allowed one."""
    return ConfigError(f'{before(where)}no {what} named "{found}"{did_you_mean(found, allowed)}')
