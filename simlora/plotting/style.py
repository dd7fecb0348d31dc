"""How all figures look: sizes, colours, and files that are the same to the byte each time they are made."""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.textpath import TextPath
from matplotlib.ticker import FuncFormatter, LogLocator

Width = Literal["column", "text"]
WIDTH_IN = {"column": 3.35, "text": 7.0}
LEGEND_ROW_IN = 0.145
HANDLE_IN = 0.4
"""Beside each name: its handle, and the space around both."""
POINTS_PER_IN = 72
FEW_DECADES = 10**2.5
SCREEN_DPI = 120

LOOK: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 7.5,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7.5,
    "figure.labelsize": 7.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "legend.columnspacing": 1.2,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.3,
    "lines.markersize": 4,
    "hatch.linewidth": 0.45,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,
    "svg.hashsalt": "simlora",
}


class Style(NamedTuple):
    """How one system is drawn; dash and marker tell it apart without its colour, on bars their hatch helps."""

    color: str
    dash: Any
    marker: str
    hatch: str


# Colours: Okabe and Ito 2008 and Paul Tol's qualitative sets; any two lie apart for dichromats, too.
BUILT_IN = {
    "serverless-lora": Style("#0072B2", "solid", "o", ""),
    "serverless-llm": Style("#E69F00", (0, (5, 1.5)), "s", "///"),
    "insta-infer": Style("#009E73", (0, (3, 1, 1, 1)), "^", "..."),
    "vllm": Style("#444444", (0, (1, 1)), "D", ""),
    "chameleon": Style("#BBCC33", (0, (4, 1)), "*", "//"),
    "clairvoyant-lora": Style("#000000", (0, (1, 3)), "|", ""),
    "dlora": Style("#222255", (0, (5, 1, 1, 1)), "d", "oo"),
    "hydraserve": Style("#6699CC", (0, (8, 1, 1, 1)), "$H$", "-."),
    "peft": Style("#99DDFF", (0, (2, 2)), "1", "\\\\"),
    "plain-serverless": Style("#DDCC77", (0, (6, 1)), "h", "|||"),
    "predictive-lora": Style("#117733", (0, (5, 2, 1, 2)), "_", "**"),
    "punica": Style("#44BB99", (0, (3, 1)), "2", "---"),
    "reserved-plus-burst": Style("#AA3377", (0, (4, 1, 2, 1)), "8", "+++"),
    "s-lora": Style("#CC3311", (0, (6, 1, 1, 1)), "H", "xxx"),
    "serverless-vllm": Style("#EE6677", (0, (3, 2)), "x", "////"),
    "toppings": Style("#EE8866", (0, (2, 1, 1, 1)), "3", "oo"),
    "torpor": Style("#FFAABB", (0, (7, 2)), "+", ".."),
    "vllm-packed": Style("#666633", (0, (1, 1.5)), "4", "||"),
}
OTHERS = (
    Style("#D55E00", (0, (6, 2)), "v", "\\\\\\"),
    Style("#56B4E9", (0, (3, 1.5)), "P", "xx"),
    Style("#CC79A7", (0, (4, 1, 1, 1)), "X", "--"),
    Style("#882255", (0, (2, 1)), "<", "++"),
    Style("#999933", (0, (5, 1, 1, 1, 1, 1)), ">", "||"),
    Style("#332288", (0, (1, 2)), "p", ""),
)


def styles(systems: Iterable[str]) -> dict[str, Style]:
    """The style of each system by its name, whatever number of GPUs the name states.

    A built-in system has its own. Another takes that at its name's checksum, or the next that no other has;
    give the systems of a whole experiment, and each looks the same in all figures. From the seventh on they repeat.
    """
    given: dict[str, Style] = {}
    named = {name: _kin(name) for name in systems}
    for name in sorted(set(named.values())):
        if name in BUILT_IN:
            given[name] = BUILT_IN[name]
            continue
        home = zlib.crc32(name.encode()) % len(OTHERS)
        nearest = [OTHERS[(home + step) % len(OTHERS)] for step in range(len(OTHERS))]
        given[name] = next((style for style in nearest if style not in given.values()), nearest[0])
    return {name: given[kin] for name, kin in named.items()}


def _kin(system: str) -> str:
    """What is drawn alike: an always-on system with the fewest GPUs, be they few or many. Never shown."""
    return re.sub(r" \((\d+ to )?\d+ GPUs?\)$", " (GPUs)", system)


def in_order(present: Iterable[str], systems: Iterable[str]) -> list[str]:
    """The distinct names present, in the order of the experiment's ``systems``, others after them."""
    there = dict.fromkeys(present)
    place = {kin: at for at, kin in enumerate(dict.fromkeys(map(_kin, [*systems, *there])))}
    return sorted(there, key=lambda name: place[_kin(name)])


class Picture(NamedTuple):
    """A figure and the numbers drawn in it."""

    figure: Figure
    data: pd.DataFrame

    def save(self, stem: Path) -> tuple[Path, Path, Path]:
        """Write ``stem.pdf``, ``stem.png`` and ``stem.csv``; the same picture gives the same bytes."""
        stem.parent.mkdir(parents=True, exist_ok=True)
        pdf, png, csv = (stem.parent / f"{stem.name}.{kind}" for kind in ("pdf", "png", "csv"))
        with mpl.rc_context(LOOK):
            for path, unwanted in ((pdf, "CreationDate"), (png, "Software")):
                whole = io.BytesIO()  # matplotlib leaves half a file and hides why where a disk is full
                self.figure.savefig(whole, format=path.suffix[1:], metadata={unwanted: None})
                path.write_bytes(whole.getvalue())
        self.data.to_csv(csv, index=False, float_format="%.9g", lineterminator="\n")
        return pdf, png, csv

    def _repr_png_(self) -> bytes:
        """What a notebook shows."""
        shown = io.BytesIO()
        with mpl.rc_context(LOOK):
            self.figure.savefig(shown, format="png", dpi=SCREEN_DPI, metadata={"Software": None})
        return shown.getvalue()


def canvas(
    width: Width, height_in: float, rows: int = 1, cols: int = 1, **share: Any
) -> tuple[Figure, list[list[Axes]]]:
    """An empty figure of the given width with ``rows`` x ``cols`` panels; draw within ``rc_context(LOOK)``."""
    figure = Figure(figsize=(WIDTH_IN[width], height_in), layout="constrained")
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(w_pad=0.05, h_pad=0.03, wspace=0.04)  # type: ignore[union-attr, call-arg]
    return figure, figure.subplots(rows, cols, squeeze=False, **share).tolist()


def legend_above(figure: Figure, handles: list[Any], names: list[str], width: Width) -> None:
    """A legend over the whole figure, in as few rows as its width allows; further rows make the figure taller."""
    rows = _rows(names, WIDTH_IN[width])
    figure.set_figheight(figure.get_figheight() + LEGEND_ROW_IN * (rows - 1))
    figure.legend(
        handles, names, loc="outside upper center", ncols=-(-len(names) // rows),
        handler_map={tuple: HandlerTuple(ndivide=None)},
    )  # fmt: skip


def _rows(names: list[str], width_in: float) -> int:
    """Of a legend whose columns, filled one after the other, are as wide as the widest name in each."""
    size = mpl.rcParams["legend.fontsize"]
    wide_in = [TextPath((0, 0), name, size=size).get_extents().width / POINTS_PER_IN + HANDLE_IN for name in names]
    for rows in range(1, len(names)):
        columns = np.array_split(wide_in, -(-len(names) // rows))
        if sum(column.max() for column in columns) <= width_in:
            return rows
    return len(names)


def handle(style: Style, *kinds: str) -> Any:
    """What stands for a system in the legend of a figure that shows it as ``bars``, ``points`` or ``lines``."""
    drawn = [
        Patch(facecolor=style.color, hatch=style.hatch, edgecolor="white", linewidth=0)
        if kind == "bars"
        else Line2D([], [], color=style.color, marker=style.marker, linestyle=style.dash if kind == "lines" else "none")
        for kind in kinds
    ]
    return drawn[0] if len(drawn) == 1 else tuple(drawn)


def log_ticks(axis: Axis) -> None:
    """Plain numbers on a logarithmic axis, at 1, 2 and 5 if it spans few decades."""
    low, high = axis.get_view_interval()
    few = high < FEW_DECADES * low
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if few else (1.0,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(FuncFormatter(lambda *_: ""))
