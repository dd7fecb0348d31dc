"""A tornado: what matters most stands at the top, and every bar begins at what it is as configured."""

from __future__ import annotations

import pandas as pd
import pytest

from simlora.plotting.tornado import tornado


def test_what_matters_most_in_any_panel_is_at_the_top() -> None:
    rows = [
        ("TTFT", "small", "a", 2.2, 2.0),
        ("TTFT", "large", "a", 1.0, 2.0),
        ("TTFT", "large", "b", 3.0, 2.0),
        ("cost", "small", "a", 1.1, 1.0),
        ("cost", "large", "a", 1.0, 1.0),
        ("cost", "large", "b", 1.0, 1.0),
    ]
    found = pd.DataFrame(rows, columns=["panel", "of", "to", "estimate", "base"])
    found = found.assign(low=found["estimate"] * 0.9, high=found["estimate"] * 1.1, paper=float("nan"))
    picture = tornado(found)
    first, second = picture.figure.axes
    assert [label.get_text() for label in first.get_yticklabels()] == ["large (a, b)", "small (a)"]
    assert picture.data["row"].tolist() == [1, 0, 0, 1, 0, 0]
    bars = {round(bar.get_x() + bar.get_width(), 6): bar.get_x() for bar in first.patches}
    assert bars == {2.2: 2.0, 1.0: 2.0, 3.0: 2.0}
    assert first.get_ylim()[0] > first.get_ylim()[1]
    assert second.get_xlabel() == "cost"
    assert first.get_xscale() == "log"


def test_the_published_value_is_a_line_where_there_is_one() -> None:
    row = {"panel": "TTFT", "of": "x", "to": "a", "estimate": 2.0, "low": 1.0, "high": 3.0, "base": 1.5}
    lines = [
        len(tornado(pd.DataFrame([{**row, "paper": paper}])).figure.axes[0].lines) for paper in (float("nan"), 4.7)
    ]
    assert lines[1] - lines[0] == pytest.approx(1)
