"""Any column of the summary against any other, with curves and panels: what ``simlora plot`` draws."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from simlora.errors import ConfigError, unknown_name
from simlora.plotting.bars import WHISKER, far_apart, grouped_bars, intervals, whiskers
from simlora.plotting.labels import is_share, label, scale
from simlora.plotting.style import LOOK, OTHERS, Picture, Style, Width, canvas, handle, legend_above, styles
from simlora.results.summary import COLUMNS

CELL = ("system", "scenario", "point")
"""What tells runs apart, beside the seed."""


def select(frame: pd.DataFrame, conditions: Mapping[str, str]) -> pd.DataFrame:
    """The rows whose columns have the values stated, compared as text.

    Raises :class:`ConfigError` for a column or a value that does not occur.
    """
    for column, value in conditions.items():
        _check(frame, column)
        text = frame[column].astype(str)
        if value not in set(text):
            raise unknown_name(column, value, set(text))
        frame = frame[text == value]
    return frame


def plot(
    frame: pd.DataFrame,
    x: str,
    y: str,
    curve: str | None = None,
    row: str | None = None,
    col: str | None = None,
    width: Width = "text",
    systems: Iterable[str] = (),
) -> Picture:
    """``y`` against ``x``, mean over seeds with 95 % intervals; a curve and a panel per value of the columns named.

    A swept number gives lines, names give bars; a measured ``x`` gives one point per system, scenario and sweep
    point, with intervals both ways. ``systems``: all of the experiment, for steady colours.
    Raises :class:`ConfigError` for a column that does not occur, or if a mean would mix different scenarios,
    systems or sweep points.
    """
    keys = [key for key in (curve, row, col) if key is not None]
    for column in (x, y, *keys):
        _check(frame, column)
    data = _points(frame, x, y, keys)
    members = list(dict.fromkeys(data[curve])) if curve else [y]
    look = _looks(members, curve, systems)
    kind = _kind(data, x)
    as_points = kind == "bars" and far_apart(data, is_share(y))
    down, across = ([None] if key is None else list(dict.fromkeys(data[key])) for key in (row, col))
    with mpl.rc_context(LOOK):
        figure, panels = canvas(width, 0.8 + 1.5 * len(down), len(down), len(across), sharex=True, sharey="row")
        for at, axes in zip(itertools.product(down, across), itertools.chain(*panels), strict=True):
            of_panel = [(key, value) for key, value in zip((row, col), at, strict=True) if key is not None]
            shown = data
            for key, value in of_panel:
                shown = shown[shown[key] == value]
            _draw(axes, shown.assign(**({} if curve else {"curve": y})), x, curve or "curve", look, as_points)
            axes.set_title(", ".join(str(value) if key in CELL else f"{label(key)} {value}" for key, value in of_panel))
        for line in panels:
            if not as_points:
                _from_zero(line, kind == "points")
        figure.supxlabel(label(x))
        figure.supylabel(label(y))
        if curve:
            handles = [handle(look[name], "points" if as_points else kind) for name in members]
            legend_above(figure, handles, [str(name) for name in members], width)
    return Picture(figure, data)


def _points(frame: pd.DataFrame, x: str, y: str, keys: list[str]) -> pd.DataFrame:
    """One row per point drawn: keys, x (and ``x_low, x_high`` if measured), ``estimate, low, high``, seeds ``n``."""
    scaled = frame.assign(**{column: frame[column] / scale(column) for column in {x, y} & set(COLUMNS)})
    if x in COLUMNS:
        cells = list(dict.fromkeys([*keys, *(c for c in CELL if c in frame)]))
        beside = intervals(scaled, cells, x).rename(columns={"estimate": x, "low": "x_low", "high": "x_high"})
        return intervals(scaled, cells, y).merge(beside.drop(columns=["n", "confidence"]), on=cells)
    shown = [*keys, x]
    for name in CELL:
        if name in frame and frame.groupby(shown, observed=True)[name].nunique().max() > 1:
            values = ", ".join(sorted(map(str, frame[name].unique())))
            raise ConfigError(
                f"plot: a mean over seeds would mix values of {name} ({values}); "
                f"choose one by a filter, or give {name} to curve, row or col"
            )
    return intervals(scaled, list(dict.fromkeys(shown)), y)


def _kind(data: pd.DataFrame, x: str) -> str:
    if "x_low" in data:
        return "points"
    return "lines" if pd.api.types.is_numeric_dtype(data[x]) else "bars"


def _draw(axes: Axes, data: pd.DataFrame, x: str, curve: str, look: Mapping[Any, Style], as_points: bool) -> None:
    kind = _kind(data, x)
    if kind == "bars":
        grouped_bars(axes, data, x, curve, dict(look), as_points)
        return
    for name, rows in data.groupby(curve, sort=False, observed=True):
        ordered, style = rows.sort_values(x), look[name]
        across = None
        if kind == "points":
            sides = ordered.assign(estimate=ordered[x], low=ordered["x_low"], high=ordered["x_high"])
            across = whiskers(sides)
        axes.errorbar(
            ordered[x], ordered["estimate"], yerr=whiskers(ordered), xerr=across, color=style.color,
            marker=style.marker, linestyle=style.dash if kind == "lines" else "none",
            **{**WHISKER, "ecolor": style.color},
        )  # fmt: skip
    if kind == "lines" and data[x].nunique() <= 8:
        values = np.sort(data[x].unique())
        axes.set_xticks(values, [f"{value:g}" for value in values])
    axes.grid(True)


def _from_zero(line: list[Axes], both: bool) -> None:
    """Axes of one row of panels start at 0 and leave room for markers at their far end."""
    for axes in line:
        axes.set_ylim(0, 1.06 * max(one.dataLim.y1 for one in line))
        if both:
            axes.set_xlim(0, 1.06 * max(one.dataLim.x1 for one in line))


def _looks(members: list[Any], curve: str | None, systems: Iterable[str]) -> dict[Any, Style]:
    if curve == "system":
        return dict(styles([*systems, *members]))
    return {name: OTHERS[i % len(OTHERS)] for i, name in enumerate(members)}


def _check(frame: pd.DataFrame, column: str) -> None:
    if column not in frame:
        raise unknown_name("column", column, map(str, frame.columns))
