"""Bars stacked by phase: where the time of a mean request went."""

from __future__ import annotations

from collections.abc import Iterable

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from simlora.plotting.phases import phase_styles, without_noise, without_slivers
from simlora.plotting.style import LOOK, Picture, Width, canvas, in_order, legend_above
from simlora.results.summary import KEYS

CUT_RANGE = 8.0
"""How many times the median bar a bar may be long before it is cut: the others would be slivers beside it."""
CUT_ROOM = 1.15
"""Length of a cut bar over the longest that is drawn whole."""


def breakdown_bars(phases: pd.DataFrame, width: Width = "column", systems: Iterable[str] = ()) -> Picture:
    """Where the time of a mean request went: one stacked bar per system, mean over its runs.

    ``phases``: columns ``system`` and one per phase, in seconds, as :meth:`simlora.results.load.Results.breakdown`
    gives. Start-up stages that are nowhere a fiftieth of the longest bar drawn are drawn as one; the data hold every
    phase. A bar more than ``CUT_RANGE`` times the median is cut, with its total and its longest phase in words.
    """
    every = mean_phases(phases, systems)
    cut, end_s = cut_bars(every.sum(axis=1))
    drawn = without_slivers(every.fillna(0.0), end_s)
    with mpl.rc_context(LOOK):
        figure, [[axes]] = canvas(width, 0.95 + 0.26 * len(drawn))
        left = np.zeros(len(drawn))
        for phase, (color, hatch) in phase_styles(list(drawn.columns)).items():
            right = np.minimum(left + drawn[phase].to_numpy(), end_s)
            axes.barh(
                range(len(drawn)), right - left, left=left, height=0.68, color=color, hatch=hatch,
                edgecolor="white", linewidth=0.4, label=phase,
            )  # fmt: skip
            left = right
        for at, system in enumerate(every.index):
            words = _total(every.loc[system], bool(cut[system]))
            axes.annotate(words, (left[at], at), (3, 0), textcoords="offset points", va="center", fontsize=6.5)
        axes.set_yticks(range(len(drawn)), list(drawn.index))
        axes.invert_yaxis()
        axes.set(xlabel="Mean time per request (s)", xlim=(0, end_s * 1.18))
        if cut.any():
            _mark_cuts(axes, [at for at, is_cut in enumerate(cut) if is_cut], end_s)
        axes.tick_params(axis="y", length=0)
        axes.grid(True, axis="x")
        legend_above(figure, *axes.get_legend_handles_labels(), width)
    return Picture(figure, every.reset_index().melt("system", var_name="phase", value_name="seconds"))


def mean_phases(phases: pd.DataFrame, systems: Iterable[str] = ()) -> pd.DataFrame:
    """Seconds per phase (columns) of a mean request of each system (rows), mean over its runs."""
    names = [str(column) for column in phases.columns if column not in KEYS]
    of_system = phases.groupby("system", sort=False)[names].mean()
    return without_noise(of_system.loc[in_order(map(str, of_system.index), systems)])


def cut_bars(totals_s: pd.Series[float]) -> tuple[pd.Series[bool], float]:
    """Which bars are cut, and the seconds at which they are."""
    cut = totals_s > CUT_RANGE * totals_s.median()
    return cut, max(float(totals_s[~cut].max()) * (CUT_ROOM if cut.any() else 1.0), 1e-9)


def _total(phases: pd.Series[float], cut: bool) -> str:
    if phases.isna().all():
        return "none finished"
    total = f"{phases.sum():.3g} s"
    return f"{total}:\n{phases.max():.3g} s {phases.idxmax()}" if cut else total


def _mark_cuts(axes: Axes, bars: list[int], end_s: float) -> None:
    """Two strokes across each cut bar, and an axis that ends with them."""
    axes.set(xlabel="Mean time per request (s)\n// bar cut short", xlim=(0, end_s * 1.6))
    lean, gap = 0.015 * end_s, 0.025 * end_s
    for at in bars:
        for middle, color, wide in ((0.0, "white", 3.0), (-gap, "black", 0.7), (gap, "black", 0.7)):
            x = 0.9 * end_s + middle
            axes.plot([x - lean, x + lean], [at + 0.42, at - 0.42], color=color, linewidth=wide)
    axes.set_xticks([tick for tick in axes.get_xticks() if 0 <= tick <= end_s])
    axes.spines["bottom"].set_bounds(0, end_s)
