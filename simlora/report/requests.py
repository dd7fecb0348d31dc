"""Single requests as points: every one where they are few, else the slowest and an even choice of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from simlora.plotting.curves import time_unit
from simlora.plotting.style import Style
from simlora.report.look import Spec, axis, layout
from simlora.results.tables import Floats, Ints

POINTS = 8000
"""Of one figure; with more of them a browser no longer follows the pointer."""
COLD, WARM = ("diamond", 7.5, 0.9), ("circle", 4.5, 0.55)
ABOUT = ("request", "function", "gpu", "prompt_tokens", "output_tokens", "outcome")
HOVER = (
    "<b>request %{customdata[0]}</b> of %{customdata[1]}<br>TTFT %{y:.4~g} s, arrived at %{x:.5~g} UNIT<br>"
    "STATE on GPU %{customdata[2]}, %{customdata[5]}<br>%{customdata[3]} tokens in, %{customdata[4]} out"
)


def ttft_over_time(
    requests: pd.DataFrame, named: Sequence[str], look: dict[str, Style], hidden: Sequence[str]
) -> tuple[Spec, str]:
    """TTFT of single requests against their arrival, and in words which of them are left out.

    ``requests``: of one run per system, columns as in ``requests.parquet`` and ``system``.
    """
    unit, per_unit_s = time_unit(float(requests["arrived_s"].max()))
    traces: list[Spec] = []
    points, drawn, silent = 0, 0, {}
    for system in named:
        own = requests[requests["system"] == system]
        ttft_s = (own["first_token_s"] - own["arrived_s"]).to_numpy(float)
        answered = own.assign(ttft_s=ttft_s)[np.isfinite(ttft_s)]
        shown = answered.iloc[chosen(answered["ttft_s"].to_numpy(float), POINTS // len(named))]
        points, drawn = points + len(answered), drawn + len(shown)
        silent[system] = len(own) - len(answered)
        for cold, (symbol, size, opacity) in ((False, WARM), (True, COLD)):
            rows = shown[shown["cold"].astype(bool) == cold]
            traces.append(
                {
                    "type": "scatter", "mode": "markers", "name": system, "legendgroup": system,
                    "showlegend": cold == bool(shown["cold"].all()),
                    "visible": "legendonly" if system in hidden else True,
                    "x": (rows["arrived_s"] / per_unit_s).round(6).tolist(),
                    "y": [float(f"{value:.5g}") for value in rows["ttft_s"]],
                    "customdata": rows[list(ABOUT)].astype(object).to_numpy().tolist(),
                    "marker": {"color": look[system].color, "symbol": symbol, "size": size, "opacity": opacity},
                    "hovertemplate": HOVER.replace("UNIT", unit).replace("STATE", "cold" if cold else "warm"),
                }
            )  # fmt: skip
    x = axis(f"Arrival ({unit})", rangemode="tozero")
    return {
        "data": traces,
        "layout": layout(440, xaxis=x, yaxis=axis("TTFT (s)", log=True)),
    }, _left_out(points, drawn, silent)


def chosen(values: Floats, limit: int) -> Ints:
    """Places of at most ``limit`` values, in order: of many the largest half of that, and every n-th of the others."""
    if len(values) <= limit:
        return np.arange(len(values))
    ranked = np.argsort(-values, kind="stable")
    largest, others = ranked[: limit // 2], np.sort(ranked[limit // 2 :])
    every = -(-len(others) // (limit - len(largest)))
    return np.sort(np.concatenate([largest, others[::every]]))


def _left_out(points: int, drawn: int, silent: Mapping[str, int]) -> str:
    notes = []
    if drawn < points:
        notes.append(f" {drawn:,} of {points:,} are drawn: of each system the slowest, and every n-th of the others.")
    if unanswered := [f"{count:,} of {system}" for system, count in silent.items() if count]:
        notes.append(f" Never had a first token: {', '.join(unanswered)}.")
    return "".join(notes)
