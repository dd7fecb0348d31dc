"""Bars with intervals over seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from simlora.errors import unknown_name
from simlora.plotting.labels import in_lines, is_share, label, scale
from simlora.plotting.style import (
    LOOK,
    Picture,
    Style,
    Width,
    canvas,
    handle,
    in_order,
    legend_above,
    log_ticks,
    styles,
)
from simlora.results.statistics import mean_interval
from simlora.results.tables import Floats

WHISKER: dict[str, Any] = {"ecolor": "#000000", "elinewidth": 0.7, "capsize": 1.5, "capthick": 0.7}
BAR_RANGE = 20.0
LEVEL_CHARACTERS = 50
"""Of the names of all groups together, up to which they stand side by side in half a text's width."""


def bars(
    summary: pd.DataFrame,
    columns: Sequence[str] = ("ttft_mean_s", "ttft_p99_s"),
    groups: str = "scenario",
    width: Width = "text",
    systems: Iterable[str] = (),
) -> Picture:
    """One panel per column of the summary: a bar per system in each group, mean over seeds with its 95 % interval.

    Raises :class:`ConfigError` for a column that the summary does not have.
    """
    for column in (*columns, groups):
        if column not in summary:
            raise unknown_name("column", column, map(str, summary.columns))
    named = in_order(summary["system"], systems)
    look = styles([*systems, *named])
    panels, kinds = [], []
    with mpl.rc_context(LOOK):
        figure, [row] = canvas(width, 2.1, 1, len(columns))
        for axes, column in zip(row, columns, strict=True):
            values = summary.assign(value=summary[column] / scale(column))
            found = intervals(values, ["system", groups], "value")
            kinds.append("points" if far_apart(found, is_share(column)) else "bars")
            grouped_bars(axes, found, groups, "system", look, kinds[-1] == "points")
            axes.set_ylabel(in_lines(label(column)))
            panels.append(found.assign(metric=label(column)))
        legend_above(figure, [handle(look[system], *sorted(set(kinds))) for system in named], named, width)
    return Picture(figure, pd.concat(panels, ignore_index=True))


def cost_bars(summary: pd.DataFrame, width: Width = "text", systems: Iterable[str] = ()) -> Picture:
    """What each run cost, what a thousand requests cost, and cost-effectiveness."""
    columns = ("cost_usd", "usd_per_1k_requests", "cost_effectiveness") if width == "text" else ("cost_usd",)
    return bars(summary, columns, width=width, systems=systems)


def intervals(frame: pd.DataFrame, keys: list[str], column: str) -> pd.DataFrame:
    """Mean of ``column`` over the rows (seeds) of each combination of ``keys``, with its 95 % interval."""
    rows = []
    for key, group in frame.groupby(keys, sort=False, observed=True):
        found = mean_interval(group[column].to_numpy(float))
        names = key if isinstance(key, tuple) else (key,)
        rows.append({**dict(zip(keys, names, strict=True)), **found._asdict()})
    return pd.DataFrame(rows)


def far_apart(found: pd.DataFrame, share: bool = False) -> bool:
    """Whether values differ by more than ``BAR_RANGE``, to be points on a logarithmic axis.

    There a bar's length says nothing. A ``share`` stays a bar: on such an axis 80 % and 100 % would look the same.
    """
    positive = found["estimate"][found["estimate"] > 0]
    return not share and len(positive) == len(found) > 0 and bool(positive.max() > BAR_RANGE * positive.min())


def grouped_bars(
    axes: Axes, found: pd.DataFrame, groups: str, within: str, look: dict[str, Style], as_points: bool
) -> None:
    """Bars of ``found`` (from :func:`intervals`), those of one group side by side; or points on a logarithmic axis."""
    at = {name: i for i, name in enumerate(dict.fromkeys(found[groups]))}
    members = list(dict.fromkeys(found[within]))
    wide = 0.8 / len(members)
    for i, member in enumerate(members):
        rows = found[found[within] == member]
        x = rows[groups].map(at).to_numpy(float) + (i - (len(members) - 1) / 2) * wide
        if as_points:
            axes.errorbar(
                x, rows["estimate"], yerr=whiskers(rows), fmt=look[member].marker, markersize=3.2,
                color=look[member].color, **WHISKER,
            )  # fmt: skip
        else:
            axes.bar(
                x, rows["estimate"], wide * 0.92, yerr=whiskers(rows), color=look[member].color,
                hatch=look[member].hatch, edgecolor="white", linewidth=0, error_kw=WHISKER,
            )  # fmt: skip
    if as_points:
        axes.set_yscale("log")
        axes.margins(x=0.08)
        log_ticks(axes.yaxis)
    names = [str(name) for name in at]
    slanted = sum(map(len, names)) > LEVEL_CHARACTERS
    axes.set_xticks(range(len(at)), names, rotation=20 if slanted else 0, ha="right" if slanted else "center")
    axes.tick_params(axis="x", length=0)
    axes.grid(True, axis="y")


def whiskers(rows: pd.DataFrame) -> Floats:
    """Distances below and above each estimate; NaN, which is not drawn, where there is no interval."""
    below, above = rows["estimate"] - rows["low"], rows["high"] - rows["estimate"]
    return np.array([below, above], float).clip(min=0.0)
