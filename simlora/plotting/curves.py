"""Curves over all requests or all time: the distribution of TTFT, and GPU memory."""

from __future__ import annotations

from collections.abc import Iterable

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.ticker import PercentFormatter

from simlora.plotting.style import LOOK, Picture, Width, canvas, in_order, legend_above, log_ticks, styles
from simlora.results.tables import Floats
from simlora.units import GB

CDF_POINTS = 1000
"""Steps of a curve: what is left out is below a tenth of a per cent of the requests."""
LINEAR_RANGE = 5.0
"""The largest curve's peak over the smallest's up to which all can be told apart on a linear axis."""
TIME_BINS = 96
COLUMN_SYSTEMS = 6
"""Up to which curves and their legend fit a column's width."""


def ttft_cdf(
    requests: pd.DataFrame, slo_s: float | None = None, width: Width | None = None, systems: Iterable[str] = ()
) -> Picture:
    """Share of requests offered whose first token came within a time, per system.

    ``requests``: columns ``system, outcome, arrived_s, first_token_s``. Requests that did not finish never get
    there, so a curve ends at the finished share. ``slo_s``: draws a line there. ``systems``: all of the experiment.
    ``width``: by the number of systems if not given.
    """
    data = ttft_shares(requests, systems)
    named = in_order(requests["system"], systems)
    look = styles([*systems, *named])
    width = width or ("text" if len(named) > COLUMN_SYSTEMS else "column")
    with mpl.rc_context(LOOK):
        figure, [[axes]] = canvas(width, 2.2)
        for i, system in enumerate(named):
            curve, style = data[data["system"] == system], look[system]
            axes.step(
                curve["ttft_s"], curve["share_of_requests"], where="post", color=style.color, linestyle=style.dash,
                label=system, zorder=3 - i / 100,
            )  # fmt: skip
        if slo_s is not None:
            axes.axvline(slo_s, color="#666666", linewidth=0.8, linestyle=(0, (2, 2)))
            axes.annotate(
                f"SLO {slo_s:g} s", (slo_s, 0.0), (3, 3), textcoords="offset points", fontsize=6.5, color="#444444"
            )
        axes.set_xscale("log")
        log_ticks(axes.xaxis)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.set(xlabel="TTFT (s)", ylabel="Requests offered", ylim=(0, 1.02))
        axes.grid(True)
        legend_above(figure, *axes.get_legend_handles_labels(), width)
    return Picture(figure, data)


def ttft_shares(requests: pd.DataFrame, systems: Iterable[str] = ()) -> pd.DataFrame:
    """The steps of those curves: ``system, ttft_s, share_of_requests``; see :func:`ttft_cdf`."""
    curves: list[pd.DataFrame] = []
    for system in in_order(requests["system"], systems):
        x, y = _distribution(requests[requests["system"] == system])
        curves.append(pd.DataFrame({"system": system, "ttft_s": x, "share_of_requests": y}))
    return pd.concat(curves, ignore_index=True)


def memory_over_time(
    usage: pd.DataFrame, capacity_bytes: int | None = None, width: Width = "column", systems: Iterable[str] = ()
) -> Picture:
    """GPU memory that instances and backbone processes held, over the time of one run per system.

    ``usage``: columns ``system, holder, from_s, to_s, device_bytes``, and ``seed``, which the time axis then names.
    Each step is the exact mean over a 96th of the time; an always-on system holds on when its last request is done.
    On a logarithmic axis a curve has gaps where less than its bottom was held; the data have all.
    ``capacity_bytes``: what the cluster has, as a line.
    """
    data = memory_held(usage, systems)
    named = in_order(data["system"], systems)
    look = styles([*systems, *named])
    curves = [data[data["system"] == system] for system in named]
    edges = np.append(curves[0]["from_s"], curves[0]["to_s"].iloc[-1])
    unit, per_unit_s = time_unit(edges[-1])
    with mpl.rc_context(LOOK):
        figure, [[axes]] = canvas(width, 2.0)
        if capacity_bytes is not None:
            axes.axhline(capacity_bytes / GB, color="#666666", linewidth=0.8, linestyle=(0, (2, 2)))
            axes.annotate(
                "capacity", (1.0, capacity_bytes / GB), (0, 2), xycoords=("axes fraction", "data"),
                textcoords="offset points", ha="right", fontsize=6.5, color="#444444",
            )  # fmt: skip
        of_run = f", one run, seed {usage['seed'].iloc[0]}" if "seed" in usage else ""
        axes.set(xlabel=f"Time ({unit}){of_run}", ylabel="GPU memory (GB)", xlim=(0, edges[-1] / per_unit_s))
        most = [curve["gb"].max() for curve in curves]
        bottom = 1.0 if max(most) > LINEAR_RANGE * min(most) else 0.0
        for i, (system, curve) in enumerate(zip(named, curves, strict=True)):
            axes.stairs(
                curve["gb"].where(curve["gb"] >= bottom), edges / per_unit_s, baseline=None, label=system,
                color=look[system].color, linestyle=look[system].dash, linewidth=1.3, zorder=3 - i / 100,
            )  # fmt: skip
        axes.set_yscale("log" if bottom else "linear")
        axes.set_ylim(bottom, 1.12 * max(*most, (capacity_bytes or 0) / GB))
        if bottom:
            log_ticks(axes.yaxis)
        axes.grid(True, axis="y")
        legend_above(figure, *axes.get_legend_handles_labels(), width)
    return Picture(figure, data)


def memory_held(usage: pd.DataFrame, systems: Iterable[str] = ()) -> pd.DataFrame:
    """The steps of those curves: ``system, from_s, to_s, gb``; see :func:`memory_over_time`."""
    held = usage[usage["holder"] != "gpu"]
    edges = np.linspace(0.0, float(held["to_s"].max()), TIME_BINS + 1)
    curves: list[pd.DataFrame] = []
    for system in in_order(held["system"], systems):
        own = usage[usage["system"] == system]
        if (own["holder"] == "gpu").any():
            own = own.assign(to_s=own["to_s"].where(own["to_s"] < own["to_s"].max(), edges[-1]))
        gb = _mean_held(own[own["holder"] != "gpu"], edges) / GB
        curves.append(pd.DataFrame({"system": system, "from_s": edges[:-1], "to_s": edges[1:], "gb": gb}))
    return pd.concat(curves, ignore_index=True)


def _distribution(requests: pd.DataFrame) -> tuple[Floats, Floats]:
    finished = requests[requests["outcome"] == "finished"]
    ttft_s = np.sort((finished["first_token_s"] - finished["arrived_s"]).to_numpy(float))
    if not len(ttft_s):
        return np.empty(0), np.empty(0)
    ranks = np.unique(np.linspace(0, len(ttft_s) - 1, min(len(ttft_s), CDF_POINTS)).round().astype(int))
    return np.append(ttft_s[ranks[0]], ttft_s[ranks]), np.append(0.0, (ranks + 1) / len(requests))


def _mean_held(rows: pd.DataFrame, edges: Floats) -> Floats:
    """Mean bytes held in each bin, from the running integral of all changes."""
    at_s = np.concatenate([rows["from_s"], rows["to_s"]])
    change = np.concatenate([rows["device_bytes"], -rows["device_bytes"]]).astype(float)
    order = np.argsort(at_s, kind="stable")
    at_s, level = at_s[order], np.cumsum(change[order])
    byte_s = np.concatenate([[0.0], np.cumsum(level[:-1] * np.diff(at_s))])
    return np.asarray(np.diff(np.interp(edges, at_s, byte_s)) / np.diff(edges))


def time_unit(span_s: float) -> tuple[str, float]:
    """The unit that an axis over so many seconds has, and its seconds."""
    if span_s >= 3 * 3600:
        return "h", 3600.0
    return ("min", 60.0) if span_s >= 300 else ("s", 1.0)
