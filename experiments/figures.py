"""What several experiments here draw alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from simlora.plotting.bars import WHISKER, intervals, whiskers
from simlora.plotting.style import LOOK, OTHERS, Picture, canvas, handle, legend_above, styles
from simlora.results.tables import Floats

ROW_IN = 0.17


def dots(found: pd.DataFrame, panels: Mapping[str, Callable[[Axes], None]]) -> Picture:
    """Estimates with their intervals side by side: a line per ``row``, a colour per ``member``, a panel per ``panel``.

    ``found`` has these three columns, ``estimate``, ``low`` and ``high``; ``panels`` has what is done to each panel's
    axes at the end. A row without an estimate stays empty; an interval that leaves the panel is cut off at its edge.
    """
    rows, members = (list(dict.fromkeys(found[column])) for column in ("row", "member"))
    look = dict(zip(members, OTHERS, strict=False))
    with mpl.rc_context(LOOK):
        figure, ((*axes,),) = canvas(
            "text", 0.7 + ROW_IN * len(rows) * max(1.0, len(members) / 2), cols=len(panels), sharey=True
        )
        for one, (panel, finish) in zip(axes, panels.items(), strict=True):
            for at, member in enumerate(members):
                own = found[(found["panel"] == panel) & (found["member"] == member)].set_index("row").reindex(rows)
                y = np.arange(len(rows)) + (at - (len(members) - 1) / 2) * min(0.35, 0.75 / len(members))
                one.errorbar(
                    own["estimate"], y, xerr=_sides(own), fmt=look[member].marker, color=look[member].color,
                    markersize=3.2, **{**WHISKER, "ecolor": look[member].color},
                )  # fmt: skip
            one.set(yticks=range(len(rows)), yticklabels=rows, ylim=(len(rows) - 0.4, -0.6))
            one.set_xlabel(panel)
            one.tick_params(axis="y", length=0)
            one.grid(axis="x")
            finish(one)
        legend_above(figure, [handle(look[member], "points") for member in members], members, "text")
    return Picture(figure, found)


def curves(runs: pd.DataFrame, along: str, panels: Mapping[str, str], finish: Callable[[Axes], None]) -> Picture:
    """Over the numbers in ``along``, on a logarithmic axis: a line per system, means over seeds with 95 % intervals.

    ``panels``: columns of ``runs`` and what their axes are called; ``finish``: what is done to each panel at the end.
    """
    names, found = list(dict.fromkeys(runs["system"])), []
    look = styles(names)
    with mpl.rc_context(LOOK):
        figure, ((*axes,),) = canvas("text", 2.3, cols=len(panels))
        for one, (column, label) in zip(axes, panels.items(), strict=True):
            own = intervals(runs, ["system", along], column)
            found.append(own.assign(panel=label))
            for name in names:
                line, style = own[own["system"] == name], look[name]
                one.errorbar(
                    line[along], line["estimate"], yerr=whiskers(line), color=style.color, linestyle=style.dash,
                    marker=style.marker, **{**WHISKER, "ecolor": style.color},
                )  # fmt: skip
            one.set(xscale="log", ylabel=label)
            one.set_xticks(ticks := sorted(runs[along].unique()), [f"{tick:,g}" for tick in ticks])
            one.set_xticks([], minor=True)
            one.grid(axis="y")
            finish(one)
        legend_above(figure, [handle(look[name], "lines") for name in names], names, "text")
    return Picture(figure, pd.concat(found, ignore_index=True))


def _sides(own: pd.DataFrame) -> Floats:
    return np.array([own["estimate"] - own["low"], own["high"] - own["estimate"]], float).clip(min=0.0)
