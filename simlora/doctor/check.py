"""One thing looked at: how it is, what would cure it, what it rules out as long as it is so."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class State(StrEnum):
    """How it is, best first."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


INSTALL = "pip install 'simlora[gpu]'"


class Check(NamedTuple):
    """``cure`` and ``rules_out`` are empty where all is well."""

    name: str
    state: State
    found: str
    cure: str = ""
    rules_out: str = ""


def judged(name: str, good: bool, found: str, cure: str, rules_out: str, worst: State = State.WARN) -> Check:
    """All is well, or ``worst`` with its cure and what it rules out."""
    return Check(name, State.OK, found) if good else Check(name, worst, found, cure, rules_out)
