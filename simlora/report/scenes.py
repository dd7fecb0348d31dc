"""The sections of a report that show results: all scenarios side by side, then each with its tables and figures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from simlora.plotting.style import in_order, styles
from simlora.report import figures
from simlora.report.look import Spec
from simlora.report.markup import folded, table_html
from simlora.report.recorded import Recorded
from simlora.report.requests import ttft_over_time
from simlora.results.load import Cell
from simlora.results.summary import COLUMNS, KEYS
from simlora.study.drawn import model_tables, without_drawn
from simlora.study.figures import FIGURES, drawn_systems
from simlora.study.looking import bounds_of
from simlora.study.overrides import BASE
from simlora.study.tables import tables

if TYPE_CHECKING:
    from simlora.plotting.style import Style

TITLES = {"ttft": "Time to first token", "slo": "SLO attainment and goodput", "cost": "Cost and cost-effectiveness"}
MOST_SCENES = 8
"""Scenarios and sweep points with figures of their own; the others have their tables."""
MOST_OVERVIEWS = 12
"""Figures that compare scenarios or sweep points."""


@dataclass
class Gallery:
    """The figures of a page, drawn by its script when they come into view."""

    figures: dict[str, Spec] = field(default_factory=dict)

    def hang(self, title: str, figure: Spec, note: str, wide: bool = True) -> str:
        """The place of a figure on the page."""
        name = f"figure-{len(self.figures) + 1}"
        self.figures[name] = figure
        plot = f'<div class="plot" id="{name}" role="img" aria-label="{escape(title)}"'
        return (
            f'<figure class="{"wide" if wide else "half"}">'
            f"<figcaption><b>{escape(title)}.</b> {escape(note)}</figcaption>"
            f'<div class="frame">{plot} style="height:{figure["layout"]["height"]}px"></div></div></figure>'
        )


def overview_html(run: Recorded, gallery: Gallery) -> str:
    """Latency, SLO attainment and cost of all systems: over the one key that is swept, else per scenario; of variations
    the file's own values."""
    summary = run.results.summary
    look = styles(map(str, drawn_systems(summary)["system"].unique()))
    matching = pd.MultiIndex.from_frame(summary[["scenario", "point"]]).isin(run.scenes)
    frame = drawn_systems(summary[matching])
    left_out: list[str] = []
    if (frame["point"] == BASE).any():
        left_out += [str(name) for name in frame["point"].unique() if name != BASE]
        frame = frame[frame["point"] == BASE]
    hidden = run.variants
    swept = [str(name) for name in frame if name not in (*KEYS, *COLUMNS) and len(frame[name].unique()) > 1]
    within = "scenario" if len(swept) == 1 else "point"
    groups = list(frame.groupby(within, sort=False))
    parts: list[str] = []
    for name, rows in groups:
        for kind, columns in FIGURES.items():
            if len(parts) == MOST_OVERVIEWS:
                left_out.append(str(name))
                break
            of = "" if name == "base" else f" ({name})"
            drawn = figures.overview(rows, columns, swept[0] if len(swept) == 1 else "scenario", look, hidden)
            note = f"Mean over seeds with its 95 % interval.{_click(hidden)}"
            parts.append(gallery.hang(f"{TITLES[kind]}{of}", drawn, note))
    if left_out:
        parts.append(f'<p class="note">Without such figures, but in the tables: {escape(", ".join(left_out))}.</p>')
    return "".join(parts)


def scenes_html(run: Recorded, gallery: Gallery) -> Iterator[str]:
    """A section for each scenario and sweep point; beyond ``MOST_SCENES`` its tables alone."""
    bounds = [name for name in bounds_of([run.folder]) if name in run.systems]
    look = styles(map(str, run.results.summary["system"].unique()))
    rows = without_drawn(run.rows)
    told = list(dict.fromkeys((row["scenario"], row["point"]) for row in rows))
    for at, (scenario, point) in enumerate(told):
        title = scenario if point == "base" else f"{scenario}, {point}"
        own = [row for row in rows if (row["scenario"], row["point"]) == (scenario, point)]
        shown = "".join(table_html(table, within=title) for table in tables(own, bounds))
        if at < MOST_SCENES:
            drawn = "".join(_figures(run, scenario, point, look, gallery))
            yield f'<section><h3>{escape(title)}</h3>{shown}<div class="grid">{drawn}</div></section>'
        else:
            yield folded(title, shown)
    if len(told) > MOST_SCENES:
        options = "simlora report DIR --scenario NAME --point POINT"
        yield f'<p class="note">Figures are of the first {MOST_SCENES}; those of another: <code>{options}</code>.</p>'
    yield from map(table_html, model_tables(run.rows))


def _figures(run: Recorded, scenario: str, point: str, look: dict[str, Style], gallery: Gallery) -> Iterator[str]:
    cells = run.of(scenario, point)
    seed = run.seed if run.seed is not None else min(cell.seed for cell in cells)
    which = {"scenario": scenario, "point": point}
    named, hidden = in_order((cell.system for cell in cells), run.systems), run.variants
    everyone = run.results.requests(**which)
    one_run = everyone[everyone["seed"] == seed]
    if one_run["first_token_s"].notna().any():
        drawn, left_out = ttft_over_time(one_run, named, look, hidden)
        note = (
            f"Single requests of seed {seed}; diamonds are cold starts. Drag to zoom, double-click to zoom out; "
            f"pointing at one tells its number, by which simlora explain tells its story.{_click(hidden)}"
        )
        yield gallery.hang("TTFT over time", drawn, note + left_out)
        note = "Requests offered, all seeds; a curve ends at the finished share."
        yield gallery.hang("Distribution of TTFT", figures.ttft_distribution(everyone, look, hidden), note, wide=False)
    usage = run.results.usage(**which, seed=seed)
    if (usage["holder"] != "gpu").any():
        capacity_bytes = _capacity_bytes(cells)
        drawn = figures.memory(usage, capacity_bytes, look, hidden)
        note = f"Held by instances and backbones, seed {seed}; the dotted line is what there is."
        yield gallery.hang("GPU memory over time", drawn, note, wide=False)
    phases = run.results.breakdown(**which)
    drawn, cut = figures.breakdown(phases, run.systems)
    beyond = f" Bars of {', '.join(cut)} go on: double-click to see all of them." if cut else ""
    yield gallery.hang("Where the time of a mean request went", drawn, f"Mean over all runs.{beyond}")


def _capacity_bytes(cells: list[Cell]) -> int:
    return max(int(np.sum(cell.facts["gpu_capacity_bytes"])) for cell in cells)


def _click(hidden: list[str]) -> str:
    return " Variants show when their name is clicked." if hidden else ""
