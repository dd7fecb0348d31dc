"""The report of a validation: tables of errors beside the targets, and the distributions one over the other."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd

from simlora.plotting.style import LOOK, Picture, canvas, legend_above, log_ticks
from simlora.results.load import Results
from simlora.study.summary import Row, write_rows
from simlora.study.trust import ERRORS
from simlora.validate.errors import both, pairs, request_errors, stage_errors, times, total_errors
from simlora.validate.seal import broken, read_seal

TARGETS = {"mean": 0.10, "p50": 0.10, "p90": 0.20, "p99": 0.20}
"""Largest relative errors aimed at, of TTFT and E2E."""
STAGE_TARGET = 0.15
SIDES = (("predicted", "#0072B2", (0, (4, 1.5))), ("measured", "#444444", "solid"))


def write_report(predicted: Results, measured: Results, out: Path) -> Path:
    """``report.md``, its tables as CSV and its figures, below ``out``."""
    requests, stages = request_errors(predicted, measured), stage_errors(predicted, measured)
    totals = total_errors(predicted, measured)
    for name, table in ((ERRORS, requests), ("errors-stages.csv", stages), ("errors-totals.csv", totals)):
        write_rows(out / name, table)
    for system, scenario in pairs(measured):
        distributions(predicted, measured, system, scenario).save(out / "figures" / f"{system}-{scenario}")
    text = "\n".join(_lines(predicted, measured, out, requests, stages, totals))
    path = out / "report.md"
    path.write_text(text + "\n", encoding="utf-8")
    return path


def distributions(predicted: Results, measured: Results, system: str, scenario: str) -> Picture:
    """TTFT, TPOT and E2E of one system, predicted over measured."""
    sides = [times(frame) for frame in both(predicted, measured, "requests", system, scenario)]
    data: list[pd.DataFrame] = []
    with mpl.rc_context(LOOK):
        figure, [axes] = canvas("text", 2.0, cols=3)
        for panel, metric in zip(axes, sides[0], strict=True):
            for (name, color, dash), side in zip(SIDES, sides, strict=True):
                x = np.sort(side[metric])
                y = np.arange(1, len(x) + 1) / max(len(x), 1)
                panel.step(x, y, where="post", color=color, linestyle=dash, label=name)
                data.append(pd.DataFrame({"metric": metric, "side": name, "seconds": x, "share": y}))
            panel.set_xscale("log")
            log_ticks(panel.xaxis)
            panel.set(xlabel=f"{metric} (s)", ylim=(0, 1.02))
            panel.grid(True)
        axes[0].set_ylabel("Requests finished")
        legend_above(figure, *axes[0].get_legend_handles_labels(), "text")
    return Picture(figure, pd.concat(data, ignore_index=True))


def _lines(
    predicted: Results, measured: Results, out: Path, requests: list[Row], stages: list[Row], totals: list[Row]
) -> list[str]:
    altered = broken(predicted.folder, out)
    facts = measured.cells[0].facts
    return [
        f"# Predicted and measured: {out.name}",
        "",
        f"Predicted before {read_seal(out)['sealed_at']}, measured after. "
        + (f"**Changed since: {', '.join(altered)}.**" if altered else "The prediction is as it was sealed."),
        "",
        f"Device: {', '.join(dict.fromkeys(facts['gpu_models']))}; profile `{facts['profile']}` under engine "
        f"`{facts['engine']}`. Only isolated micro-benchmarks enter a profile; queueing, contention, batching and "
        "cold paths under load are predicted.",
        f"Events came {facts['lateness_p50_s'] * 1e3:.2f} ms late in the median, "
        f"{facts['lateness_p99_s'] * 1e3:.1f} ms at p99.",
        "",
        "## Requests",
        "",
        "| system | scenario | metric | | predicted | measured | error | 95 % interval | target |",
        "|---|---|---|---|---:|---:|---:|---:|---|",
        *(_request_line(row) for row in requests),
        "",
        "## Stages of starts",
        "",
        "Medians, and in brackets how many there were.",
        "",
        "| system | scenario | stage | predicted | measured | error | target |",
        "|---|---|---|---:|---:|---:|---|",
        *(_stage_line(row) for row in stages),
        "",
        "## Totals",
        "",
        "| system | scenario | | predicted | measured | error |",
        "|---|---|---|---:|---:|---:|",
        *(_total_line(row) for row in totals),
        "",
        "## Distributions",
        "",
        *(f"![{system}, {scenario}](figures/{system}-{scenario}.png)" for system, scenario in pairs(measured)),
    ]


def _request_line(row: Row) -> str:
    target = _verdict(row["error"], TARGETS[row["statistic"]]) if row["metric"] != "TPOT" else ""
    return (
        f"| {row['system']} | {row['scenario']} | {row['metric']} | {row['statistic']} | {row['predicted_s']:.3f} s | "
        f"{row['measured_s']:.3f} s | {row['error']:+.1%} | {row['low']:+.1%} to {row['high']:+.1%} | {target} |"
    )


def _stage_line(row: Row) -> str:
    return (
        f"| {row['system']} | {row['scenario']} | {row['stage']} | {row['predicted_s']:.3f} s ({row['predicted_n']}) | "
        f"{row['measured_s']:.3f} s ({row['measured_n']}) | {row['error']:+.1%} | "
        f"{_verdict(row['error'], STAGE_TARGET)} |"
    )


def _total_line(row: Row) -> str:
    values = f"{row['predicted']:.4g} | {row['measured']:.4g} | {row['error']:+.1%}"
    return f"| {row['system']} | {row['scenario']} | {row['total']} | {values} |"


def _verdict(error: float, target: float) -> str:
    return f"{'met' if abs(error) <= target else '**missed**'} ({target:.0%})"
