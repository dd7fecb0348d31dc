"""Who stands where in the arena: a panel per scenario, policies from the best overall down."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes

from simlora.plotting.bars import WHISKER, far_apart, whiskers
from simlora.plotting.labels import is_share, label, scale
from simlora.plotting.style import LOOK, Picture, canvas, log_ticks

COLUMNS = 3
YOURS, OTHERS = "#D55E00", "#0072B2"
POLICY_IN, PANEL_IN = 0.17, 0.55


def standings_figure(standings: pd.DataFrame, column: str = "ttft_mean_s") -> Picture:
    """``column`` of each policy with its interval, in a panel for each scenario; the row of the user's own is marked.

    A dashed line is the bound, which has rank 0.

    ``standings``: columns ``scenario, policy, yours, rank`` and ``column`` with its ``_low`` and ``_high``, as in an
    arena's ``ranking.csv``. Policies stand in the order of the last scenario, which is all together; those that did not
    run in all of them come last.
    """
    data = standings.rename(columns={column: "estimate", f"{column}_low": "low", f"{column}_high": "high"})
    data = data[["scenario", "policy", "yours", "rank", "estimate", "low", "high"]]
    data = data.assign(**{name: data[name] / scale(column) for name in ("estimate", "low", "high")})
    panels = list(dict.fromkeys(data["scenario"]))
    together = data[data["scenario"] == panels[-1]]
    order = list(dict.fromkeys([*together["policy"], *data["policy"]]))
    order = [policy for policy in order if (data["rank"][data["policy"] == policy] > 0).any()]
    rows = -(-len(panels) // COLUMNS)
    with mpl.rc_context(LOOK):
        height_in = rows * (PANEL_IN + POLICY_IN * len(order))
        figure, grid = canvas("text", height_in, rows, min(COLUMNS, len(panels)), sharey=True)
        cells = [axes for line in grid for axes in line]
        for axes, scenario in zip(cells, panels, strict=False):
            _draw(axes, data[data["scenario"] == scenario], order, is_share(column))
            axes.set_title(scenario)
        for axes in cells[len(panels) :]:
            axes.set_visible(False)
        figure.supxlabel(label(column))
    return Picture(figure, data)


def _draw(axes: Axes, found: pd.DataFrame, order: list[str], share: bool) -> None:
    rows = found[found["rank"] > 0]
    for bound in found["estimate"][found["rank"] == 0]:
        axes.axvline(bound, color="#666666", linewidth=0.8, linestyle=(0, (2, 2)))
    for yours, own in rows.groupby("yours"):
        look: dict[str, Any] = {"color": YOURS if yours else OTHERS, "marker": "D" if yours else "o", "markersize": 3.5}
        places = [order.index(policy) for policy in own["policy"]]
        axes.errorbar(own["estimate"], places, xerr=whiskers(own), linestyle="none", **look, **WHISKER)
    axes.set_yticks(range(len(order)), order)
    axes.set_ylim(len(order) - 0.5, -0.5)
    for policy in rows[rows["yours"]]["policy"]:
        axes.axhspan(order.index(policy) - 0.5, order.index(policy) + 0.5, color=YOURS, alpha=0.12, linewidth=0)
    if far_apart(found, share):
        axes.set_xscale("log")
        log_ticks(axes.xaxis)
    else:
        axes.set_xlim(0, 1.06 * axes.dataLim.x1)
    axes.grid(True, axis="x")
