"""The trust box: what the figures rest on."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from simlora.latency import Label
from simlora.results.metrics import out_of_range_fraction
from simlora.study.console import TEXT_WIDTH

if TYPE_CHECKING:
    from rich.table import Table

Facts = Mapping[str, Any]
ERRORS = "errors-requests.csv"
"""Of a validation: predicted and measured figures of requests."""


class Run(Protocol):
    """What is asked of a run, be it one to do or one read back."""

    @property
    def system(self) -> str: ...

    @property
    def scenario(self) -> str: ...

    @property
    def failures(self) -> Sequence[object]: ...


def trust_box(cells: Sequence[Run], facts: Sequence[Facts], validation: Path) -> Table:
    """Profile parts by how far they can be trusted and how far off they were; calls beyond the measured range; how far
    off whole runs were; traffic, and what fails.

    ``facts``: those of the cells, in their order; ``validation``: the folder that ``simlora validate`` writes.
    """
    from rich.table import Table

    table = Table(title="Trust", show_header=False, padding=(0, 1))
    table.add_column()
    table.add_column(overflow="fold", max_width=TEXT_WIDTH)
    for label, parts in _parts(facts).items():
        table.add_row(f"{label} ({len(parts)})", _grouped(parts))
    table.add_section()
    for part, error in _held_out(facts).items():
        table.add_row(f"error of {part}", error)
    table.add_row("beyond the measured range", _out_of_range(cells, facts))
    table.add_row("nearest validation error", _validation_error(validation))
    table.add_section()
    for scenario, text in _provenances(cells, facts).items():
        table.add_row(f"traffic of {scenario}", text)
    for scenario, failures in {cell.scenario: cell.failures for cell in cells}.items():
        if failures:
            table.add_row(f"failures of {scenario}", ", ".join(map(str, failures)))
    return table


def _validation_error(folder: Path) -> str:
    """The worst error of a mean TTFT among the runs of this experiment that were repeated for real."""
    if not (folder / ERRORS).is_file():
        return "no validated run yet; simlora validate predicts an experiment, runs it for real and compares the two"
    with (folder / ERRORS).open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if (row["metric"], row["statistic"]) == ("TTFT", "mean")]
    worst = max(rows, key=lambda row: abs(float(row["error"])))
    of = f"{worst['system']}, {worst['scenario']}, the worst of {len(rows)}"
    return f"mean TTFT {float(worst['error']):+.1%} ({of}), against real runs: {folder}"


def _grouped(parts: Iterable[str]) -> str:
    """``kernels: linear, lora`` for parts of one whole, a line for each whole; parts of none together."""
    wholes: dict[str, list[str]] = {}
    for part in parts:
        whole, colon, name = part.rpartition(": ")
        wholes.setdefault(whole + colon, []).append(name)
    return "\n".join(whole + ", ".join(names) for whole, names in wholes.items())


def _parts(facts: Sequence[Facts]) -> dict[str, dict[str, None]]:
    """Names of the parts used by any of the runs, under their labels, best first."""
    by_label: dict[str, dict[str, None]] = {label.value: {} for label in Label}
    for one in facts:
        for part in one["trust"]:
            by_label[part["label"]][part["part"]] = None
    return {label: parts for label, parts in by_label.items() if parts}


def _held_out(facts: Sequence[Facts]) -> dict[str, str]:
    """Of the parts that were tested on data they were not fitted on: how far off they were."""
    parts = {part["part"]: str(part["error"]) for one in facts for part in one["trust"]}
    return {name: error.partition(";")[0] for name, error in parts.items() if "held-out" in error}


def _out_of_range(cells: Sequence[Run], facts: Sequence[Facts]) -> str:
    worst: dict[str, float] = {}
    for cell, one in zip(cells, facts, strict=True):
        worst[cell.system] = max(worst.get(cell.system, 0.0), out_of_range_fraction(one["out_of_range"]))
    beyond = [f"{system} {share:.2%}" for system, share in worst.items() if share]
    return ", ".join(beyond) + " of latency estimates, in the worst run" if beyond else "no latency estimate of any run"


def _provenances(cells: Sequence[Run], facts: Sequence[Facts]) -> dict[str, str]:
    """Per scenario where its traffic is from: what all its seeds have in common of that."""
    texts: dict[str, dict[str, None]] = {}
    for cell, one in zip(cells, facts, strict=True):
        texts.setdefault(cell.scenario, {})[str(one["workload"])] = None
    return {scenario: next(iter(found)) if len(found) == 1 else _beginning(found) for scenario, found in texts.items()}


def _beginning(texts: Iterable[str]) -> str:
    alike = takewhile(lambda characters: len(dict.fromkeys(characters)) == 1, zip(*texts, strict=False))
    return "".join(characters[0] for characters in alike) + "..."
