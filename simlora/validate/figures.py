"""The figures of a validation: distributions one over the other, stages side by side, memory over time."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd

from simlora.plotting.style import LOOK, Picture, canvas, legend_above, log_ticks
from simlora.results.load import Results
from simlora.study.summary import Row
from simlora.validate.errors import accounted, both, memory_told, times

SIDES = (("predicted", "#0072B2", (0, (4, 1.5))), ("measured", "#444444", "solid"))
ACCOUNTED = "#E69F00"
GB = 1e9


def distributions(predicted: Results, measured: Results, system: str, scenario: str) -> Picture:
    """TTFT, TPOT and E2E of one system, predicted over measured."""
    sides = [times(frame) for frame in both(predicted, measured, "requests", system, scenario)]
    data: list[pd.DataFrame] = []
    with mpl.rc_context(LOOK):
        figure, [axes] = canvas("text", 2.0, cols=3)
        for panel, metric in zip(axes, sides[0], strict=True):
            for (name, color, dash), side in zip(SIDES, sides, strict=True):
                x = np.sort(side[metric])
                y = np.arange(1, len(x) + 1) / max(len(x), 1)
                panel.step(x, y, where="post", color=color, linestyle=dash, label=name)
                data.append(pd.DataFrame({"metric": metric, "side": name, "seconds": x, "share": y}))
            panel.set_xscale("log")
            log_ticks(panel.xaxis)
            panel.set(xlabel=f"{metric} (s)", ylim=(0, 1.02))
            panel.grid(True)
        axes[0].set_ylabel("Requests finished")
        legend_above(figure, *axes[0].get_legend_handles_labels(), "text")
    return Picture(figure, pd.concat(data, ignore_index=True))


def stages(rows: Sequence[Row]) -> Picture:
    """Median seconds of each stage of a start, predicted beside measured, all systems' one below the other."""
    data = pd.DataFrame(rows)
    names = [f"{row.stage}, {row.system}" for row in data.itertuples()]
    at = np.arange(len(names))
    with mpl.rc_context(LOOK):
        figure, [[axes]] = canvas("text", 0.6 + 0.2 * len(names))
        for shift, (side, color, _) in zip((-0.2, 0.2), SIDES, strict=True):
            axes.barh(at + shift, data[f"{side}_s"], height=0.38, color=color, label=side)
        axes.set_yticks(at, names)
        axes.invert_yaxis()
        axes.set(xlabel="Median (s)")
        axes.grid(True, axis="x")
        legend_above(figure, *axes.get_legend_handles_labels(), "text")
    return Picture(figure, data)


def memory(predicted: Results, measured: Results, system: str, scenario: str) -> Picture:
    """Device memory over time: what the driver told, what the engine accounted for meanwhile, what was predicted."""
    at_s, told = memory_told(measured, system, scenario)
    theirs, ours = (accounted(side, system, scenario, at_s) for side in (measured, predicted))
    series = {"driver": told, "accounted": theirs, "predicted": ours}
    looks = {"driver": SIDES[1][1:], "accounted": (ACCOUNTED, (0, (1, 1))), "predicted": SIDES[0][1:]}
    with mpl.rc_context(LOOK):
        figure, [[axes]] = canvas("text", 1.8)
        for name, held in series.items():
            color, dash = looks[name]
            axes.plot(at_s, held / GB, color=color, linestyle=dash, label=name)
        axes.set(xlabel="Time (s)", ylabel="Device memory (GB)")
        axes.grid(True)
        legend_above(figure, *axes.get_legend_handles_labels(), "text")
    return Picture(figure, pd.DataFrame({"at_s": at_s, **series}))
