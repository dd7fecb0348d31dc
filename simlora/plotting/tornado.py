"""Which assumption matters: what a figure becomes when one at a time is set otherwise."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from simlora.plotting.bars import WHISKER, whiskers
from simlora.plotting.style import LOOK, OTHERS, Picture, canvas, handle, legend_above, log_ticks

COLUMNS = 2
ROW_IN, PANEL_IN = 0.17, 0.75
VALUES = ("first value", "second value")


def tornado(found: pd.DataFrame) -> Picture:
    """A panel for each ratio, in it a row for each assumption: bars from what it is as configured to what it becomes.

    ``found``: columns ``panel, of, to, estimate, low, high``, and ``base`` and ``paper`` of the panel, the latter NaN
    where none is published; one or two rows per panel and ``of``. The assumptions that matter most, in any panel,
    stand at the top. On a logarithmic axis, so that twice as much is as far as half as much; 1 and the published value
    are lines.
    """
    change = found.assign(change=np.abs(np.log(found["estimate"] / found["base"])))
    order = change.groupby("of")["change"].max().sort_values(ascending=False, kind="stable").index.tolist()
    labels = {of: f"{of} ({', '.join(dict.fromkeys(found['to'][found['of'] == of]))})" for of in order}
    panels = list(dict.fromkeys(found["panel"]))
    rows = -(-len(panels) // COLUMNS)
    with mpl.rc_context(LOOK):
        height_in = rows * (PANEL_IN + ROW_IN * len(order))
        figure, grid = canvas("text", height_in, rows, min(COLUMNS, len(panels)), sharey=True)
        cells = [axes for line in grid for axes in line]
        for axes, panel in zip(cells, panels, strict=False):
            _draw(axes, found[found["panel"] == panel], order)
            axes.set_xlabel(panel)
            axes.set_yticks(range(len(order)), [labels[of] for of in order])
            axes.set_ylim(len(order) - 0.4, -0.6)
        for axes in cells[len(panels) :]:
            axes.set_visible(False)
        legend_above(figure, [handle(style, "bars") for style in OTHERS[:2]], list(VALUES), "text")
    return Picture(figure, found.assign(row=[order.index(of) for of in found["of"]]))


def _draw(axes: Axes, found: pd.DataFrame, order: list[str]) -> None:
    base, paper = found["base"].iloc[0], found["paper"].iloc[0]
    nth = found.groupby("of").cumcount()
    for at, style in enumerate(OTHERS[:2]):
        own = found[nth == at]
        two = own["of"].map(found["of"].value_counts()) > 1
        y = np.array([order.index(of) for of in own["of"]]) + np.where(two, (at - 0.5) * 0.4, 0.0)
        axes.barh(
            y, own["estimate"] - base, np.where(two, 0.36, 0.6), left=base, color=style.color, xerr=whiskers(own),
            error_kw=WHISKER, linewidth=0,
        )  # fmt: skip
    axes.set_xscale("log")
    axes.axvline(base, color="#000000", linewidth=0.8)
    axes.axvline(1.0, color="#999999", linewidth=0.6)
    if not np.isnan(paper):
        axes.axvline(paper, color="#666666", linewidth=0.8, linestyle=(0, (2, 2)))
    axes.tick_params(axis="y", length=0)
    log_ticks(axes.xaxis)
    axes.grid(axis="x")
