"""All checks of a machine, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from simlora.doctor.check import Check, State
from simlora.doctor.device import device_checks
from simlora.doctor.host import host_checks
from simlora.study.console import listing, stderr

if TYPE_CHECKING:
    from rich.table import Table

COLORS = {State.OK: "green", State.WARN: "yellow", State.FAIL: "red"}


def examine(device: str, folder: Path) -> list[Check]:
    """Every check for torch's ``device``, cuda or cpu; ``folder`` is where results and models would go."""
    return [*host_checks(folder), *device_checks(device)]


def table(checks: Sequence[Check]) -> Table:
    """A row per check; where all is well, cure and what it rules out are empty."""
    from rich.markup import escape

    shown = listing("", "check", "found", "cure", "rules out")
    for check in checks:
        state = f"[{COLORS[check.state]}]{check.state}[/]"
        shown.add_row(state, *map(escape, (check.name, check.found, check.cure, check.rules_out)))
    return shown


def tell(device: str, folder: Path) -> None:
    """Say on standard error what is not well, before something begins that depends on it."""
    for line in complaints(examine(device, folder)):
        stderr().print(line, markup=False, soft_wrap=True)


def complaints(checks: Sequence[Check]) -> list[str]:
    """One line for each check that is not well."""
    return [f"{c.state}: {c.name}: {c.found}; {c.cure}; rules out {c.rules_out}" for c in checks if c.state != State.OK]
