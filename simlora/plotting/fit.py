"""How well a latency profile fits: speed against the roofline, and errors by size."""

from __future__ import annotations

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from simlora.plotting.style import LOOK, Picture, canvas, legend_above, log_ticks

MEASURED, FITTED, ROOF = "#444444", "#0072B2", "#D55E00"
PANEL_IN, LARGEST_ERROR = 1.5, 0.5


def fit_figure(points: pd.DataFrame) -> Picture:
    """A row of two panels per part: share of the roofline that is reached, measured and fitted, and the error.

    ``points``: columns part, size, measured_s, fitted_s and roofline_s (NaN: no panel of it). Errors beyond 50 % are
    drawn at the edge.
    """
    parts = list(dict.fromkeys(points["part"]))
    with mpl.rc_context(LOOK):
        figure, panels = canvas("text", PANEL_IN * len(parts) + 0.3, rows=len(parts), cols=2)
        for part, (speed, error) in zip(parts, panels, strict=True):
            own = points[points["part"] == part]
            _speed(speed, own.dropna(subset="roofline_s"))
            _error(error, own)
            error.set_ylabel(part.replace("_", " "))
        for panel in panels[-1]:
            panel.set_xlabel("Size (tokens; bytes of sums)")
        panels[0][0].set_title("Share of the roofline")
        panels[0][1].set_title("Fitted over measured - 1, held out")
        legend_above(figure, *panels[0][0].get_legend_handles_labels(), "text")
    return Picture(figure, points)


def _speed(axes: Axes, points: pd.DataFrame) -> None:
    if points.empty:
        axes.set_axis_off()
        return
    for column, color, name in (("measured_s", MEASURED, "measured"), ("fitted_s", FITTED, "fitted")):
        share = points["roofline_s"] / points[column]
        axes.plot(points["size"], share, ".", color=color, markersize=1.5, label=name, rasterized=True)
    axes.axhline(1.0, color=ROOF, linewidth=0.9, label="roofline")
    axes.set_xscale("log", base=2)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_ylim(0, 1.15)
    log_ticks(axes.xaxis)
    axes.grid(True)


def _error(axes: Axes, points: pd.DataFrame) -> None:
    relative = (points["fitted_s"] / points["measured_s"] - 1).clip(-LARGEST_ERROR, LARGEST_ERROR)
    axes.plot(points["size"], relative, ".", color=FITTED, markersize=1.5, rasterized=True)
    _axis(axes)


def residual_figure(residuals: pd.DataFrame) -> Picture:
    """A panel per part: 10th percentile, median and 90th of the error by size, as a profile carries them.

    ``residuals``: columns part, of, upto, p10, p50 and p90.
    """
    parts = list(dict.fromkeys(residuals["part"]))
    with mpl.rc_context(LOOK):
        figure, panels = canvas("text", PANEL_IN * len(parts) + 0.3, rows=len(parts))
        for part, [axes] in zip(parts, panels, strict=True):
            for _, own in residuals[residuals["part"] == part].groupby("of", sort=False):
                [line] = axes.plot(own["upto"], own["p50"], marker="o", label=f"{own['of'].iloc[0]} held out")
                axes.fill_between(own["upto"], own["p10"], own["p90"], color=line.get_color(), alpha=0.2, linewidth=0)
            _axis(axes)
            axes.set_ylabel(part.replace("_", " "))
            axes.legend(loc="upper right", ncols=2)
        panels[-1][0].set_xlabel("Size up to (tokens; bytes of sums and elementwise kernels)")
    return Picture(figure, residuals)


def _axis(axes: Axes) -> None:
    axes.axhline(0.0, color="#666666", linewidth=0.6)
    axes.set_xscale("log", base=2)
    axes.set_ylim(-LARGEST_ERROR, LARGEST_ERROR)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    log_ticks(axes.xaxis)
    axes.grid(True)
