"""The eight arrivals of the paper's timeline figure, stage by stage: ``python timeline.py [RESULTS_DIR]``.

``expected.csv`` is the figure, digitised to +- 0.05 s. Its letters and our stages: W container, A library, M context,
backbone and adapter, I kernels, first run and prefill. A stage counts as far as it was under way while the request
waited.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow.compute as pc

sys.path.append(str(Path(__file__).parents[1]))

from page import fill_in

from simlora.results.breakdown import INSTANCE_WAIT, PREFILL, QUEUE, START_UP, START_UP_WAIT, breakdown
from simlora.results.load import Cell, load

STAGES = {
    "container": "W",
    "library": "A",
    "context": "M",
    "backbone": "M",
    "adapter": "M",
    "kernels": "I",
    "first_run": "I",
}
LETTERS = {**{f"{START_UP}{name}": letter for name, letter in STAGES.items()}, PREFILL: "I"}
WAITS = (QUEUE, START_UP_WAIT, INSTANCE_WAIT)
CONSTANTS = {0.0, 10.0}
"""Arrivals whose rows the figure-only constants were taken from; the other rows are the test."""
RELATIVE, ABSOLUTE_S = 0.15, 0.15
LEAST_S = 0.01
"""A stage shorter than this did not occur: the figure can't show it."""
ALIKE = {"no host cache": "serverless-llm", "kill on use": "serverless-lora"}
"""Whose column of the figure an ablation is held against; a system has its own."""

Seconds = Mapping[str, float]
Row = tuple[float, str]


def expected() -> dict[str, dict[Row, Seconds]]:
    """Of each system and arrival (time, function) the figure's seconds by letter."""
    found: dict[str, dict[Row, Seconds]] = {}
    with Path(__file__).with_name("expected.csv").open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            seconds = {letter: float(line[letter]) for letter in "WAMI" if line[letter]}
            found.setdefault(line["system"], {})[float(line["arrived_s"]), line["function"]] = seconds
    return found


def observed(cell: Cell) -> Iterator[tuple[Row, Seconds, float]]:
    """Of each request its arrival, its seconds by letter, and those it waited for anything else."""
    requests, events = cell.table("requests"), cell.table("events")
    for request in requests.select(["request", "arrived_s", "function"]).to_pylist():
        one = requests.filter(pc.equal(requests["request"], request["request"]))
        phases = breakdown(one, events)
        seconds = dict.fromkeys("WAMI", 0.0)
        for name, letter in LETTERS.items():
            seconds[letter] += phases.get(name, 0.0)
        occurred = {letter: spent for letter, spent in seconds.items() if spent >= LEAST_S}
        yield (request["arrived_s"], request["function"]), occurred, sum(phases[name] for name in WAITS)


def too_far(ours: float, figure: float) -> bool:
    """Whether seconds differ by more than both tolerances."""
    return abs(ours - figure) > max(RELATIVE * figure, ABSOLUTE_S)


def table(cell: Cell, figure: Mapping[Row, Seconds], against: str) -> Iterator[str]:
    """A system's rows beside the figure's, then the totals of the test rows, as Markdown."""
    yield f"### {cell.system}, against the figure's {against}"
    yield ""
    yield "| arrival | rows for | figure (s) | simlora (s) | other waits (s) | stages | seconds |"
    yield "|---|---|---|---|---|---|---|"
    rows = same = within = stages = close = 0
    for row, ours, waited_s in observed(cell):
        wanted = figure[row]
        shared = [letter for letter in wanted if letter in ours]
        far = [
            f"{letter} {ours[letter] - wanted[letter]:+.2f}"
            for letter in shared
            if too_far(ours[letter], wanted[letter])
        ]
        verdict = "same" if ours.keys() == wanted.keys() else "differ"
        if row[0] not in CONSTANTS:
            rows, same, within = rows + 1, same + (verdict == "same"), within + (verdict == "same" and not far)
            stages, close = stages + len(wanted), close + len(shared) - len(far)
        cells = (
            f"{row[1]} @{row[0]:g}",
            "constants" if row[0] in CONSTANTS else "test",
            written(wanted),
            written(ours),
            f"{waited_s:.2f}",
            verdict,
            ", ".join(far) or "within",
        )
        yield f"| {' | '.join(cells)} |"
    yield ""
    yield (
        f"Test rows: the same stages in {same} of {rows}; all seconds within 15 % or 0.15 s in {within} of {rows}; "
        f"of the figure's {stages} stages {close} occur and are within."
    )
    yield ""


def written(seconds: Seconds) -> str:
    """ "W 0.97 A 3.00"."""
    return " ".join(f"{letter} {spent:.2f}" for letter, spent in seconds.items())


def report(folder: Path) -> str:
    """The tables of all systems of a finished run."""
    results, figure = load(folder), expected()
    return "\n".join(
        line
        for system in [*figure, *ALIKE]
        for cell in results.select(system=system)
        for line in table(cell, figure[ALIKE.get(system, system)], ALIKE.get(system, system))
    )


if __name__ == "__main__":
    fill_in(__doc__, lambda results: report(results.folder).splitlines(), default=Path("results/timeline"))
