"""The tables of a validation's report, as texts that Markdown and HTML both show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from simlora.results.load import Results
from simlora.study.summary import Row
from simlora.validate.errors import pairs

TARGETS = {"mean": 0.10, "p50": 0.10, "p90": 0.20, "p99": 0.20}
"""Largest relative errors aimed at, of TTFT and E2E."""
STAGE_TARGET, MEMORY_TARGET = 0.15, 0.05
GB = 1e9


class Table(NamedTuple):
    """``anchor`` names its section in a page."""

    anchor: str
    title: str
    note: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> Iterator[str]:
        """Its lines, heading and all."""
        yield from (f"## {self.title}", "", *([self.note, ""] if self.note else []))
        yield from (f"| {' | '.join(cells)} |" for cells in (self.head, ["---"] * len(self.head), *self.rows))
        yield ""


def request_table(rows: Sequence[Row]) -> Table:
    """TTFT, TPOT and E2E."""
    head = ("system", "scenario", "metric", "", "predicted", "measured", "error", "95 % interval", "target")
    shown = [
        (
            row["system"],
            row["scenario"],
            row["metric"],
            row["statistic"],
            f"{row['predicted_s']:.3f} s",
            f"{row['measured_s']:.3f} s",
            f"{row['error']:+.1%}",
            f"{row['low']:+.1%} to {row['high']:+.1%}",
            _verdict(row["error"], TARGETS[row["statistic"]]) if row["metric"] != "TPOT" else "",
        )
        for row in rows
    ]
    return Table("requests", "Requests", "", head, shown)


def stage_table(rows: Sequence[Row]) -> Table:
    """Stages of cold starts."""
    head = ("system", "scenario", "stage", "predicted", "measured", "error", "target")
    shown = [
        (
            row["system"],
            row["scenario"],
            row["stage"],
            f"{row['predicted_s']:.3f} s ({row['predicted_n']})",
            f"{row['measured_s']:.3f} s ({row['measured_n']})",
            f"{row['error']:+.1%}",
            _verdict(row["error"], STAGE_TARGET),
        )
        for row in rows
    ]
    return Table("stages", "Stages of starts", "Medians, and in brackets how many there were.", head, shown)


def total_table(rows: Sequence[Row]) -> Table:
    """Cold starts, GPU time, memory as accounted, cost."""
    head = ("system", "scenario", "", "predicted", "measured", "error")
    shown = [
        (
            row["system"],
            row["scenario"],
            row["total"],
            f"{row['predicted']:.4g}",
            f"{row['measured']:.4g}",
            f"{row['error']:+.1%}",
        )
        for row in rows
    ]
    return Table("totals", "Totals", "GPU-seconds are `gpus_mean` times the run's length.", head, shown)


def memory_table(rows: Sequence[Row]) -> Table:
    """The driver's bytes beside the engine's."""
    note = "Mean over the run, beyond what was in use before it; the error is that of the engine's accounting."
    head = ("system", "scenario", "driver", "accounted", "predicted", "error", "target")
    shown = [
        (
            row["system"],
            row["scenario"],
            *(f"{row[f'{who}_bytes'] / GB:.2f} GB" for who in ("driver", "accounted", "predicted")),
            f"{row['error']:+.1%}",
            _verdict(row["error"], MEMORY_TARGET),
        )
        for row in rows
    ]
    return Table("memory", "Device memory", note if rows else "No driver told any.", head, shown)


def decision_table(measured: Results) -> Table:
    """Decisions asked twice, what they took, and how late events came."""
    note = (
        "Every question was put to fresh policies too, which had been told the same: answers that parted should be 0."
    )
    head = ("system", "scenario", "decisions", "parted", "median", "p99", "events late, median", "p99")
    return Table("decisions", "Decisions and the clock", note, head, list(_decisions(measured)))


def _decisions(measured: Results) -> Iterator[Sequence[str]]:
    for system, scenario in pairs(measured):
        facts = measured.select(system=system, scenario=scenario)[0].facts
        keys = ("answer_p50_s", "answer_p99_s", "lateness_p50_s", "lateness_p99_s")
        seconds = (f"{facts[key] * 1e3:.2f} ms" for key in keys)
        yield (system, scenario, f"{facts['answers']:,}", str(facts["answers_parted"]), *seconds)


def trust_table(facts: Mapping[str, Any]) -> Table:
    """What was measured beforehand; all else is predicted from it."""
    note = (
        "What the prediction stands on. Nothing that is compared here entered it: queueing, contention, batching and "
    )
    note += "cold paths under load are predicted."
    shown = [(part["part"], part["label"], part["error"], part["source"]) for part in facts["trust"]]
    return Table("calibrated", "Calibrated beforehand", note, ("part", "label", "held-out error", "source"), shown)


def _verdict(error: float, target: float) -> str:
    return f"{'met' if abs(error) <= target else 'missed'} ({target:.0%})"
