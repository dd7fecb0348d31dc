"""What a latency profile holds, how well it fits, and how two differ."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from simlora.latency import Profile, load_profile
from simlora.latency.kernels import Fitted
from simlora.study.console import listing
from simlora.study.store import one_message
from simlora.study.workloads import DATA_VARIABLE, data_dir

if TYPE_CHECKING:
    from rich.table import Table

MEDIAN_BAR, P90_BAR, WHOLE_BAR = 0.05, 0.15, 0.10
"""Relative errors aimed at: of an operator, median and 90th percentile; of whole layers and steps, median."""
KERNELS_ONLY = "no-engine"
WHOLE = "whole"
"""The part of layers and steps, which nothing is fitted on."""
COMPARED = ("llama-2-7b", "llama-3.1-8b")
RANK = 16


def shown(name: str, engine: str) -> Table:
    """Each part with its label, held-out error, valid range and source."""
    table = listing("part", "label", "error", "valid", "source")
    for part in load_profile(name, engine).describe():
        table.add_row(part.part, part.label, part.error, part.valid, part.source)
    return table


def differences(first: str, second: str) -> Table:
    """Seconds of kernels and moves under two profiles, and the second over the first."""
    one, other = (load_profile(name, KERNELS_ONLY) for name in (first, second))
    table = listing("what", one.name, other.name, "ratio")
    for (what, a), (_, b) in zip(_figures(one), _figures(other), strict=True):
        table.add_row(what, f"{a * 1e3:.4g} ms", f"{b * 1e3:.4g} ms", f"{b / a:.3f}")
    return table


def _figures(profile: Profile) -> Iterator[tuple[str, float]]:
    for backbone in COMPARED:
        model = profile.model(backbone)
        for tokens in (1, 64, 512, 4096):
            yield f"{backbone}: projections of {tokens} tokens", model.linear_s(tokens, 1)
        for tokens in (1, 64, 512):
            yield f"{backbone}: LoRA of rank {RANK}, {tokens} tokens", model.lora_s(tokens, 1, RANK)
        for prompt in (128, 2048):
            yield f"{backbone}: prefill of {prompt} tokens", model.prefill_s([prompt])
        for batch in (1, 16, 128):
            yield f"{backbone}: decode step of {batch} x 512 tokens", model.decode_step_s([512] * batch)
        yield f"{backbone}: weights, host to device", profile.load_s(model.weights_bytes, ("host", "device"))


def residuals_of(profile: Profile) -> pd.DataFrame:
    """The residuals that a profile carries: part, of, upto, points, p10, p50 and p90."""
    rows = [
        {"part": name, **residual.model_dump()}
        for name, part in profile.kernels
        if isinstance(part, Fitted)
        for residual in part.residuals
    ]
    return pd.DataFrame(rows)


def write_report(name: str, out: Path) -> Path:
    """``report.md`` with its figure and numbers below ``out``: held-out points where the tables are at hand.

    Elsewhere, and for a profile of one's own, the residuals that the profile carries.
    """
    from simlora.plotting.fit import fit_figure, residual_figure

    profile = load_profile(name, KERNELS_ONLY)
    points, residuals = _points(name), residuals_of(profile)
    with one_message(out):
        if not points.empty:
            fit_figure(points).save(out / "held-out")
        if not residuals.empty:
            residual_figure(residuals).save(out / "residuals")
        path = out / "report.md"
        out.mkdir(parents=True, exist_ok=True)
        lines = [*_lines(profile, points, residuals), *_start_lines(name)]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _calibration() -> Path | None:
    """The folder of public tables, where it and what reads it are at hand."""
    folder = (data_dir() or Path()) / "calibration"
    return folder if folder.is_dir() and find_spec("calibrate") is not None else None


def _points(name: str) -> pd.DataFrame:
    folder = _calibration()
    if folder is None:
        return pd.DataFrame()
    from calibrate.points import held_out_points

    return held_out_points(folder, name)


def _start_lines(name: str) -> Iterator[str]:
    """Published start-up times beside those shipped, in the report of the GPU that they are of."""
    folder = _calibration()
    if folder is None:
        return
    from calibrate.cold_starts import BAR, GPU, cold_starts

    if name != GPU:
        return
    yield from ("", "## Cold starts", "", f"Published beside shipped; beyond {BAR:.0%} with the reason.", "")
    yield from ("| stage | starts | published | shipped | difference | |", "|---|--:|--:|--:|--:|---|")
    for one in cold_starts(folder):
        seconds = f"{one.measured_s:.2f} s | {one.shipped_s:.2f} s | {one.error:+.1%}"
        note = one.why if abs(one.error) > BAR else "fitted on these" if one.fitted else "held out"
        yield f"| {one.what} | {one.starts} | {seconds} | {note} |"


def _lines(profile: Profile, points: pd.DataFrame, residuals: pd.DataFrame) -> Iterator[str]:
    yield from (f"# How well {profile.name} fits", "", f"{profile.gpu.title}. {profile.kernels.source}.", "")
    if points.empty:
        yield f"What the profile states of itself: the tables it was fitted on are not at hand (`{DATA_VARIABLE}`)."
        yield from ("", "| part | error | valid |", "|---|---|---|")
        for part in profile.describe():
            if part.part.startswith("kernels"):
                yield f"| {part.part.rpartition(': ')[2]} | {part.error} | {part.valid} |"
    else:
        yield from _tables(points)
    if not residuals.empty:
        yield from ("", "## By size", "", "Fitted over measured - 1: 10th percentile, median, 90th.", "")
        yield from ("| part | held out | size up to | points | p10 | median | p90 |", "|---|---|--:|--:|--:|--:|--:|")
        for row in residuals.itertuples(index=False):
            figures = f"{row.p10:+.1%} | {row.p50:+.1%} | {row.p90:+.1%}"
            yield f"| {row.part} | {row.of} | {row.upto:,} | {row.points:,} | {figures} |"
        yield from ("", "![errors by size](residuals.png)")


def _tables(points: pd.DataFrame) -> Iterator[str]:
    head = ("| part | held out | points | median | p90 | bias | within the bar |", "|---|---|--:|--:|--:|--:|---|")
    relative = points.assign(error=points["fitted_s"] / points["measured_s"] - 1)
    operators, whole = (relative[(relative["part"] == WHOLE) == is_whole] for is_whole in (False, True))
    yield f"Aimed at on points held out of the fit: median {MEDIAN_BAR:.0%}, 90th percentile {P90_BAR:.0%}."
    yield from ("", *head, *_rows(operators, MEDIAN_BAR, P90_BAR))
    if not whole.empty:
        yield from ("", "## Whole layers and steps", "")
        yield f"Measured by others with other kernels; nothing is fitted on them. Aimed at: median {WHOLE_BAR:.0%}."
        yield "Where host time is included, it is part of what the kernels lack."
        yield from ("", *head, *_rows(whole, WHOLE_BAR, float("inf")))
    yield from ("", "![measured and fitted](held-out.png)")


def _rows(points: pd.DataFrame, median_bar: float, p90_bar: float) -> Iterator[str]:
    for _, own in points.groupby(["part", "held_out"], sort=False):
        size = own["error"].abs()
        median, p90 = float(size.median()), float(size.quantile(0.9))
        verdict = "yes" if median <= median_bar and p90 <= p90_bar else "no"
        figures = f"{len(own):,} | {median:.1%} | {p90:.1%} | {own['error'].mean():+.1%} | {verdict}"
        yield f"| {own['part'].iloc[0]} | {own['held_out'].iloc[0]} | {figures} |"
