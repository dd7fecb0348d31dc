"""One request: its phases on one line, and below it who held its GPU meanwhile."""

from __future__ import annotations

import matplotlib as mpl
import pandas as pd

from simlora.plotting.phases import phase_styles
from simlora.plotting.style import LOOK, Picture, canvas, legend_above
from simlora.results.one_request import Story

STATES = {"busy": "#4D4D4D", "starting": "#A6C8E0", "idle": "#DDDDDD"}


def story_figure(story: Story) -> Picture:
    """Seconds since the request's arrival; holders are as tall as the share of the largest that they hold at most."""
    arrived_s = story.row["arrived_s"]
    rows: list[dict[str, object]] = []
    begin_s = 0.0
    for name, seconds in story.phases.items():
        rows.append({"line": "request", "what": name, "from_s": begin_s, "to_s": begin_s + seconds, "bytes": 0})
        begin_s += seconds
    for held in story.held:
        for state, from_s, to_s, size in held.spans:
            own = {"line": held.name, "what": state, "bytes": size}
            rows.append({**own, "from_s": from_s - arrived_s, "to_s": to_s - arrived_s})
    data = pd.DataFrame(rows, columns=["line", "what", "from_s", "to_s", "bytes"])
    lines = list(dict.fromkeys(data["line"]))
    looks = {**{state: (color, "") for state, color in STATES.items()}, **phase_styles(list(story.phases))}
    with mpl.rc_context(LOOK):
        figure, [[axes]] = canvas("text", 0.9 + 0.22 * len(lines))
        for what, spans in data.groupby("what", sort=False):
            color, hatch = looks[str(what)]
            axes.barh(
                [lines.index(line) for line in spans["line"]], spans["to_s"] - spans["from_s"], left=spans["from_s"],
                height=0.7, color=color, hatch=hatch, edgecolor="white", linewidth=0.3, label=str(what),
            )  # fmt: skip
        axes.set_yticks(range(len(lines)), lines)
        axes.invert_yaxis()
        axes.set(xlabel="Time since its arrival (s)", xlim=(0, max(story.until_s - arrived_s, 1e-9)))
        axes.grid(True, axis="x")
        legend_above(figure, *axes.get_legend_handles_labels(), "text")
    return Picture(figure, data)
