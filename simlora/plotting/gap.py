"""Greedy against optimum: the share that greed leaves, and the seconds that both take, over growing instances."""

from __future__ import annotations

import matplotlib as mpl
import pandas as pd

from simlora.plotting.bars import WHISKER, intervals, whiskers
from simlora.plotting.style import LOOK, OTHERS, Picture, canvas, handle, legend_above, log_ticks


def gap_figure(found: pd.DataFrame) -> Picture:
    """``found``: columns ``functions, gpus, seed, gap, greedy_s, exact_s, proved``; a curve per number of GPUs.

    Gaps are those of proved optima alone; seconds of a search that was cut short are the limit it met.
    """
    data = pd.concat(
        [
            intervals(rows, ["gpus", "functions"], column).assign(metric=column)
            for column, rows in (("gap", found[found["proved"]]), ("exact_s", found), ("greedy_s", found))
        ],
        ignore_index=True,
    )
    look = {gpus: OTHERS[i % len(OTHERS)] for i, gpus in enumerate(found["gpus"].unique())}
    with mpl.rc_context(LOOK):
        figure, [[left, right]] = canvas("text", 2.4, 1, 2)
        for axes, metrics in ((left, ("gap",)), (right, ("exact_s", "greedy_s"))):
            for metric in metrics:
                for gpus, style in look.items():
                    rows = data[(data["metric"] == metric) & (data["gpus"] == gpus)].sort_values("functions")
                    axes.errorbar(
                        rows["functions"], rows["estimate"], yerr=whiskers(rows), color=style.color,
                        marker=style.marker, linestyle="dotted" if metric == "greedy_s" else "solid",
                        **{**WHISKER, "ecolor": style.color},
                    )  # fmt: skip
            axes.set_xscale("log", base=2)
            ticks = sorted(found["functions"].unique())
            axes.set_xticks(ticks, [str(n) for n in ticks])
            axes.set_xlabel("Functions")
            axes.grid(True)
        left.yaxis.set_major_formatter("{x:.1%}")
        left.set_ylabel("Value left by greed")
        left.set_ylim(bottom=0)
        right.set_yscale("log")
        log_ticks(right.yaxis)
        right.set_ylabel("Processor time (s)\ndotted: greedy")
        names = [f"{gpus} GPU{'s' if gpus > 1 else ''}" for gpus in look]
        legend_above(figure, [handle(style, "lines") for style in look.values()], names, "text")
    return Picture(figure, data)
