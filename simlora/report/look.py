"""How a system looks in plotly's terms: the colours, dashes, markers and hatches of the printed figures."""

from __future__ import annotations

from typing import Any

from simlora.plotting.labels import in_lines
from simlora.plotting.style import Style

Spec = dict[str, Any]
"""A trace, a layout or a figure as plotly.js reads it."""

LINE_PX = 2.0
SYMBOLS = {
    "o": "circle", "s": "square", "^": "triangle-up", "D": "diamond", "*": "star", "|": "line-ns-open",
    "d": "diamond-tall", "$H$": "hexagram", "1": "y-down-open", "h": "hexagon", "_": "line-ew-open", "2": "y-up-open",
    "8": "octagon", "H": "hexagon2", "x": "x", "3": "y-left-open", "+": "cross", "4": "y-right-open",
    "v": "triangle-down", "P": "cross", "X": "x", "<": "triangle-left", ">": "triangle-right", "p": "pentagon",
}  # fmt: skip
PATTERNS = "/\\x-|+."


def line(style: Style) -> Spec:
    """A curve's line, dashed as on paper."""
    dash = style.dash
    lengths = "solid" if dash == "solid" else ",".join(f"{LINE_PX * length:g}px" for length in dash[1])
    return {"color": style.color, "width": LINE_PX, "dash": lengths}


def marker(style: Style, size: float = 8.0) -> Spec:
    """A point's marker; those without an area have a line to be seen by."""
    symbol = SYMBOLS[style.marker]
    thick = {"line": {"width": 2, "color": style.color}} if symbol.endswith("-open") else {}
    return {"color": style.color, "symbol": symbol, "size": size, **thick}


def fill(color: str, hatch: str) -> Spec:
    """A bar's colour and pattern."""
    shape = hatch[:1] if hatch[:1] in PATTERNS else ""
    return {
        "color": color,
        "pattern": {"shape": shape, "fillmode": "overlay", "fgcolor": "rgba(255,255,255,0.7)", "size": 6},
    }


def layout(height: int, **more: Any) -> Spec:
    """The frame of every figure; the page adds the colours of the reader's scheme."""
    legend = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "itemwidth": 30, "itemsizing": "constant"}
    margin = {"l": 64, "r": 14, "t": 16, "b": 40}
    return {"height": height, "margin": margin, "legend": legend, "hovermode": "closest", **more}


def axis(title: str, log: bool = False, **more: Any) -> Spec:
    """An axis with its unit in words; plain numbers on a logarithmic one."""
    scaled = {"type": "log", "dtick": "D2", "exponentformat": "none"} if log else {}
    name = {"text": in_lines(title).replace("\n", "<br>"), "font": {"size": 13}}
    return {"title": name, "automargin": True, "zeroline": False, **scaled, **more}
