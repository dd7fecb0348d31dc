"""The figures of a report, from the same numbers as the printed ones."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from simlora.plotting.bars import far_apart, intervals, whiskers
from simlora.plotting.breakdown import cut_bars, mean_phases
from simlora.plotting.curves import LINEAR_RANGE, memory_held, time_unit, ttft_shares
from simlora.plotting.labels import is_share, label, scale
from simlora.plotting.phases import phase_styles, without_slivers
from simlora.plotting.style import Style, in_order
from simlora.report.look import Spec, axis, fill, layout, line, marker
from simlora.units import GB

BAR_PX = 30
HALF_PX, LEGEND_PX = 330, 10
"""Height of a figure of half the page's width, and what its legend takes for each system."""
GAP = 0.09
"""Between two panels, as a share of the figure's width."""


def overview(
    frame: pd.DataFrame, columns: Sequence[str], x: str, look: dict[str, Style], hidden: Sequence[str]
) -> Spec:
    """A panel per column of the summary: mean over seeds with its 95 % interval, per system, against ``x``.

    A swept number gives lines, names give bars, or points where they differ by orders of magnitude.
    """
    traces: list[Spec] = []
    axes: Spec = {}
    lines = pd.api.types.is_numeric_dtype(frame[x])
    for at, column in enumerate(columns):
        found = intervals(frame.assign(value=frame[column] / scale(column)), ["system", x], "value")
        as_points = not lines and far_apart(found, is_share(column))
        anchor = "" if at == 0 else str(at + 1)
        for system in in_order(found["system"], look):
            rows = (
                found[found["system"] == system].sort_values(x, kind="stable")
                if lines
                else found[found["system"] == system]
            )
            traces.append(
                {
                    **_marks(look[system], lines, as_points), "name": system, "legendgroup": system,
                    "showlegend": at == 0, "visible": "legendonly" if system in hidden else True,
                    "x": rows[x].tolist(), "y": rows["estimate"].tolist(), "error_y": _error(rows),
                    "customdata": [_range(*row) for row in zip(rows["low"], rows["high"], rows["n"], strict=True)],
                    "hovertemplate": "%{x}<br>%{y:.4~g} %{customdata}", "xaxis": f"x{anchor}", "yaxis": f"y{anchor}",
                }
            )  # fmt: skip
        wide = (1 - GAP * (len(columns) - 1)) / len(columns)
        left = at * (wide + GAP)
        across: Spec = {} if lines else {"type": "category"}
        title = label(x) if lines else ""
        axes[f"xaxis{anchor}"] = axis(title, domain=[left, left + wide], anchor=f"y{anchor}", **across)
        up: Spec = {} if as_points else {"rangemode": "tozero"}
        axes[f"yaxis{anchor}"] = axis(label(column), log=as_points, anchor=f"x{anchor}", **up)
    beside = {"barmode": "group", "scattermode": "group", "bargap": 0.25, "scattergap": 0.25}
    grouped = {} if lines else beside
    return {"data": traces, "layout": layout(340, **grouped, **axes)}


def ttft_distribution(requests: pd.DataFrame, look: dict[str, Style], hidden: Sequence[str]) -> Spec:
    """Share of requests offered whose first token came within a time."""
    found = ttft_shares(requests, look)
    traces = [
        {
            "type": "scatter", "mode": "lines", "name": system, "line": {**line(look[str(system)]), "shape": "hv"},
            "visible": "legendonly" if system in hidden else True,
            "x": _short(rows["ttft_s"]), "y": _short(rows["share_of_requests"]),
            "hovertemplate": "%{y:.1%} within %{x:.4~g} s",
        }
        for system, rows in found.groupby("system", sort=False)
    ]  # fmt: skip
    y = axis("Requests offered", tickformat=".0%", range=[0, 1.02])
    return {
        "data": traces,
        "layout": layout(HALF_PX + LEGEND_PX * len(look), xaxis=axis("TTFT (s)", log=True), yaxis=y),
    }


def memory(usage: pd.DataFrame, capacity_bytes: int, look: dict[str, Style], hidden: Sequence[str]) -> Spec:
    """GPU memory held over the time of one run per system, and what there is."""
    found = memory_held(usage, look)
    unit, per_unit_s = time_unit(float(found["to_s"].max()))
    traces = [
        {
            "type": "scatter", "mode": "lines", "name": system, "line": {**line(look[str(system)]), "shape": "hv"},
            "visible": "legendonly" if system in hidden else True,
            "x": _short([*rows["from_s"] / per_unit_s, rows["to_s"].iloc[-1] / per_unit_s]),
            "y": _short([*rows["gb"], rows["gb"].iloc[-1]]),
            "hovertemplate": f"%{{y:.4~g}} GB at %{{x:.4~g}} {unit}",
        }
        for system, rows in found.groupby("system", sort=False)
    ]  # fmt: skip
    there_gb = capacity_bytes / GB
    shapes = [
        {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": there_gb, "y1": there_gb, "line": {"dash": "dot"}}
    ]
    most = found.groupby("system")["gb"].max()
    log = bool(max(there_gb, most.max()) > LINEAR_RANGE * most.min() > 0)
    y = axis("GPU memory (GB)", log=log, **({} if log else {"rangemode": "tozero"}))
    return {
        "data": traces,
        "layout": layout(HALF_PX + LEGEND_PX * len(look), xaxis=axis(f"Time ({unit})"), yaxis=y, shapes=shapes),
    }


def breakdown(phases: pd.DataFrame, systems: Iterable[str]) -> tuple[Spec, list[str]]:
    """Bars stacked by phase, and the systems whose bars reach out of the figure as it opens."""
    every = mean_phases(phases, systems).fillna(0.0)
    cut, end_s = cut_bars(every.sum(axis=1))
    shown = without_slivers(every, end_s)
    traces = [
        {
            "type": "bar", "orientation": "h", "name": phase, "y": list(shown.index), "x": _short(shown[phase]),
            "marker": fill(*look), "hovertemplate": f"%{{x:.4~g}} s {phase}<extra>%{{y}}</extra>",
        }
        for phase, look in phase_styles([str(name) for name in shown.columns]).items()
    ]  # fmt: skip
    x = axis("Mean time per request (s)", range=[0, 1.03 * end_s])
    y = axis("", autorange="reversed", type="category")
    frame = layout(150 + BAR_PX * len(shown), barmode="stack", bargap=0.3, xaxis=x, yaxis=y)
    frame["legend"]["traceorder"] = "normal"
    return {"data": traces, "layout": frame}, [str(name) for name in every.index[cut]]


def as_json(figure: Spec) -> str:
    """A figure as its text: numbers that do not exist are null."""
    return json.dumps(_without_nan(figure), allow_nan=False, separators=(",", ":"))


def _marks(style: Style, lines: bool, as_points: bool) -> Spec:
    if lines or as_points:
        mode = "lines+markers" if lines else "markers"
        return {"type": "scatter", "mode": mode, "marker": marker(style), **({"line": line(style)} if lines else {})}
    return {"type": "bar", "marker": fill(style.color, style.hatch)}


def _error(rows: pd.DataFrame) -> Spec:
    below, above = whiskers(rows)
    return {"type": "data", "array": above.tolist(), "arrayminus": below.tolist(), "thickness": 1, "width": 3}


def _range(low: float, high: float, seeds: int) -> str:
    return f"({low:.4g} to {high:.4g}, {seeds} seeds)" if low == low else "(one seed)"


def _short(values: Iterable[float]) -> list[float]:
    return [float(f"{value:.5g}") for value in values]


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_nan(inner) for inner in value]
    return None if isinstance(value, float) and value != value else value
