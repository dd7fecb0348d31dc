"""Bars with intervals over seeds, and bars stacked by phase."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from simlora.errors import unknown_name
from simlora.plotting.labels import is_share, label, scale
from simlora.plotting.phases import phase_styles, without_slivers
from simlora.plotting.style import LOOK, Picture, Style, Width, canvas, in_order, legend_above, styles
from simlora.results.statistics import mean_interval
from simlora.results.summary import KEYS
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
    panels = []
    with mpl.rc_context(LOOK):
        figure, [row] = canvas(width, 2.1, 1, len(columns))
        for axes, column in zip(row, columns, strict=True):
            values = summary.assign(value=summary[column] / scale(column))
            found = intervals(values, ["system", groups], "value")
            grouped_bars(axes, found, groups, "system", look, is_share(column))
            axes.set_ylabel(label(column))
            panels.append(found.assign(metric=label(column)))
        patches = [Patch(facecolor=look[s].color, hatch=look[s].hatch, edgecolor="white", linewidth=0) for s in named]
        legend_above(figure, patches, named, width)
    return Picture(figure, pd.concat(panels, ignore_index=True))


def cost_bars(summary: pd.DataFrame, width: Width = "text", systems: Iterable[str] = ()) -> Picture:
    """What each run cost, what a thousand requests cost, and cost-effectiveness."""
    columns = ("cost_usd", "usd_per_1k_requests", "cost_effectiveness") if width == "text" else ("cost_usd",)
    return bars(summary, columns, width=width, systems=systems)


def breakdown_bars(phases: pd.DataFrame, width: Width = "column", systems: Iterable[str] = ()) -> Picture:
    """Where the time of a mean request went: one stacked bar per system, mean over its runs.

    ``phases``: columns ``system`` and one per phase, in seconds, as :meth:`simlora.results.load.Results.breakdown`
    gives. Start-up stages that are nowhere a fiftieth of the longest bar are drawn as one.
    """
    names = [str(column) for column in phases.columns if column not in KEYS]
    of_system = phases.groupby("system", sort=False)[names].mean()
    means = without_slivers(of_system.loc[in_order(map(str, of_system.index), systems)])
    looks = phase_styles(list(means.columns))
    with mpl.rc_context(LOOK):
        figure, [[axes]] = canvas(width, 0.95 + 0.26 * len(means) + 0.11 * len(means.columns) / 2)
        left = np.zeros(len(means))
        for phase, (color, hatch) in looks.items():
            axes.barh(
                range(len(means)), means[phase], left=left, height=0.68, color=color, hatch=hatch,
                edgecolor="white", linewidth=0.4, label=phase,
            )  # fmt: skip
            left += means[phase].to_numpy()
        for at, total_s in enumerate(left):
            axes.annotate(
                f"{total_s:.3g} s", (total_s, at), (3, 0), textcoords="offset points", va="center", fontsize=6.5
            )
        axes.set_yticks(range(len(means)), list(means.index))
        axes.invert_yaxis()
        axes.set(xlabel="Mean time per request (s)", xlim=(0, max(left.max(), 1e-9) * 1.18))
        axes.tick_params(axis="y", length=0)
        axes.grid(True, axis="x")
        legend_above(figure, *axes.get_legend_handles_labels(), width)
    data = means.reset_index().melt("system", var_name="phase", value_name="seconds")
    return Picture(figure, data)


def intervals(frame: pd.DataFrame, keys: list[str], column: str) -> pd.DataFrame:
    """Mean of ``column`` over the rows (seeds) of each combination of ``keys``, with its 95 % interval."""
    rows = []
    for key, group in frame.groupby(keys, sort=False, observed=True):
        found = mean_interval(group[column].to_numpy(float))
        names = key if isinstance(key, tuple) else (key,)
        rows.append({**dict(zip(keys, names, strict=True)), **found._asdict()})
    return pd.DataFrame(rows)


def grouped_bars(
    axes: Axes, found: pd.DataFrame, groups: str, within: str, look: dict[str, Style], share: bool = False
) -> None:
    """Bars of ``found`` (from :func:`intervals`), those of one group side by side.

    Values that differ by more than ``BAR_RANGE`` become points on a logarithmic axis: there a bar's
    length says nothing. A ``share`` stays a bar: on such an axis 80 % and 100 % would look the same.
    """
    positive = found["estimate"][found["estimate"] > 0]
    as_points = not share and len(positive) == len(found) > 0 and positive.max() > BAR_RANGE * positive.min()
    at = {name: i for i, name in enumerate(dict.fromkeys(found[groups]))}
    members = list(dict.fromkeys(found[within]))
    wide = 0.8 / len(members)
    for i, member in enumerate(members):
        rows = found[found[within] == member]
        x = rows[groups].map(at).to_numpy(float) + (i - (len(members) - 1) / 2) * wide
        if as_points:
            axes.errorbar(
                x, rows["estimate"], yerr=whiskers(rows), fmt="o", markersize=3.2, color=look[member].color, **WHISKER
            )
        else:
            axes.bar(
                x, rows["estimate"], wide * 0.92, yerr=whiskers(rows), color=look[member].color,
                hatch=look[member].hatch, edgecolor="white", linewidth=0, error_kw=WHISKER,
            )  # fmt: skip
    if as_points:
        axes.set_yscale("log")
        axes.margins(x=0.08)
    names = [str(name) for name in at]
    slanted = sum(map(len, names)) > LEVEL_CHARACTERS
    axes.set_xticks(range(len(at)), names, rotation=20 if slanted else 0, ha="right" if slanted else "center")
    axes.tick_params(axis="x", length=0)
    axes.grid(True, axis="y")


def whiskers(rows: pd.DataFrame) -> Floats:
    """Distances below and above each estimate; NaN, which is not drawn, where there is no interval."""
    below, above = rows["estimate"] - rows["low"], rows["high"] - rows["estimate"]
    return np.array([below, above], float).clip(min=0.0)
