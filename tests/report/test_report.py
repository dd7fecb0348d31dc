"""A report holds what was recorded, asks nothing of the network, and is the same to the byte each time it is made."""

from __future__ import annotations

import base64
import gzip
import json
import re
import subprocess
import sys
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from simlora.errors import ConfigError
from simlora.plotting.style import BUILT_IN, styles
from simlora.report import scenes
from simlora.report.assumptions import Assumption, assumptions, concerns, setting
from simlora.report.figures import overview
from simlora.report.look import SYMBOLS
from simlora.report.page import write_report
from simlora.report.recorded import recorded
from simlora.report.requests import ABOUT, POINTS, chosen, ttft_over_time
from simlora.results.load import load

pytest.importorskip("plotly", reason="the extra report is not installed")


@pytest.fixture(scope="session")
def page(finished: Path) -> str:
    """The report of the small run."""
    write_report(finished, finished / "report.html")
    return (finished / "report.html").read_text(encoding="utf-8")


def carried(page: str, name: str) -> str:
    """What the page carries compressed."""
    found = re.search(rf'id="{name}">([^<]*)<', page)
    assert found is not None
    return gzip.decompress(base64.b64decode(found[1])).decode()


def words(page: str) -> str:
    """The page's text without its markup."""
    body = page[page.index("<body>") : page.index('<script type="text/plain"')]
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", body)).split())


@pytest.fixture(scope="session")
def figures(page: str) -> dict[str, Any]:
    """Its figures, as plotly.js reads them."""
    read: dict[str, Any] = json.loads(carried(page, "figures"))
    return read


def test_every_figure_is_one_that_plotly_knows_and_has_a_place(page: str, figures: dict[str, Any]) -> None:
    graphs = pytest.importorskip("plotly.graph_objects")
    assert re.findall(r'class="plot" id="([^"]+)"', page) == list(figures)
    assert len(figures) == 3 + 2 * 4
    for figure in figures.values():
        graphs.Figure(figure)  # raises for a property that does not exist
    assert "plotly.js" in carried(page, "library")


def test_every_request_is_a_point_that_names_it(finished: Path, figures: dict[str, Any]) -> None:
    requests = load(finished).requests(scenario="busy", seed=0)
    drawn = [f for f in figures.values() if f["layout"]["xaxis"]["title"]["text"].startswith("Arrival")][1]
    points = {
        (trace["name"], about[0]): (at, ttft_s)
        for trace in drawn["data"]
        for at, ttft_s, about in zip(trace["x"], trace["y"], trace["customdata"], strict=True)
    }
    assert len(points) == len(requests) > 500
    for row in requests.itertuples():
        at, ttft_s = points[row.system, row.request]
        assert ttft_s == pytest.approx(row.first_token_s - row.arrived_s, rel=1e-4)
        assert at * 60 == pytest.approx(row.arrived_s, abs=1e-3)


def test_it_says_what_the_terminal_says_and_what_it_rests_on(page: str, finished: Path) -> None:
    text = words(page)
    for part in (
        "Does sharing pay? Two functions of one backbone, in calm and in busy traffic.",
        "vllm & co",
        "Ratio to serverless-lora",
        "mean over seeds and its 95 % interval; seeds: 2",
        "simlora run",
        "held-out",
        "traffic of busy",
        "A16 several functions' processes stay in one container when one of them runs",
        "poisson, rate_per_s 0.5",
        "Variants show when their name is clicked",
    ):
        assert part in text, part
    summary = pd.read_csv(finished / "summary.csv")
    own = summary[(summary["system"] == "serverless-lora") & (summary["scenario"] == "busy")]
    assert f"{own['ttft_mean_s'].mean():.3g}" in text
    command = json.loads((finished / "environment.json").read_text())["command"]
    assert command[:2] == ["simlora", "run"]
    assert command[2] in text


def test_nothing_in_it_asks_the_network(page: str) -> None:
    shown = page[: page.index('<script type="text/plain"')]
    assert "default-src 'none'" in shown
    assert re.findall(r"(?:src|href)=[\"'](?!#)", shown) == []
    assert "@import" not in shown
    assert "url(" not in shown


def test_the_same_results_give_the_same_bytes(page: str, finished: Path, tmp_path: Path) -> None:
    write_report(finished, tmp_path / "again.html")
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == page


def test_a_swept_number_gives_lines_at_its_values() -> None:
    rows = [{"system": s, "nodes": n, "ttft_mean_s": 2.0 * n + k} for s in "ab" for n in (4, 1, 2) for k in (0, 1)]
    drawn = overview(pd.DataFrame(rows), ["ttft_mean_s"], "nodes", styles("ab"), hidden=[])
    assert [(trace["name"], trace["x"], trace["y"]) for trace in drawn["data"]] == [
        (system, [1, 2, 4], [2.5, 4.5, 8.5]) for system in "ab"
    ]
    assert "scattermode" not in drawn["layout"], "it would move them beside each other"


def test_of_variations_the_file_s_own_values_are_drawn_and_the_others_named(finished: Path) -> None:
    run = recorded(finished, scenario="calm", point=None, seed=None)
    summary = run.results.summary
    other = summary[summary["scenario"] == "calm"].assign(point="A17=5 s", ttft_mean_s=1e6)
    vars(run.results)["summary"] = pd.concat([summary, other], ignore_index=True)
    rows = [*run.rows, *({**row, "point": "A17=5 s"} for row in run.rows)]
    gallery = scenes.Gallery()
    html = scenes.overview_html(replace(run, rows=tuple(rows)), gallery)
    assert "Without such figures, but in the tables: A17=5 s." in html
    drawn = [value for f in gallery.figures.values() for trace in f["data"] for value in trace["y"]]
    assert drawn
    assert max(drawn) < 1e6


def test_one_scenario_alone(finished: Path, tmp_path: Path) -> None:
    assert write_report(finished, tmp_path / "calm.html", scenario="calm", seed=1) == 3 + 4
    text = words((tmp_path / "calm.html").read_text(encoding="utf-8"))
    assert "Single requests of seed 1" in text
    assert "traffic of busy" not in text
    with pytest.raises(ConfigError, match='no scenario named "calmm"; did you mean "calm"'):
        write_report(finished, tmp_path / "x.html", scenario="calmm")
    with pytest.raises(ConfigError, match="no such results folder"):
        write_report(tmp_path / "nowhere", tmp_path / "x.html")


def test_what_is_too_much_has_tables_alone_and_is_named(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scenes, "MOST_SCENES", 1)
    monkeypatch.setattr(scenes, "MOST_OVERVIEWS", 2)
    assert write_report(finished, tmp_path / "short.html") == 2 + 4
    text = words((tmp_path / "short.html").read_text(encoding="utf-8"))
    assert "Figures are of the first 1" in text
    assert "Without such figures, but in the tables: base" in text


def test_of_many_requests_the_slowest_stay_and_the_others_are_thinned_evenly() -> None:
    values = np.random.default_rng(0).exponential(size=10_000)
    kept = chosen(values, 1000)
    assert 900 < len(kept) <= 1000
    assert set(np.argsort(values)[-500:]) <= set(kept)
    others = np.setdiff1d(kept, np.argsort(values)[-500:])
    assert np.diff(others).max() < 60
    assert chosen(values, 10_000).tolist() == list(range(10_000))
    assert (np.diff(kept) > 0).all()


def test_what_is_not_drawn_is_said() -> None:
    many = POINTS + 500
    requests = pd.DataFrame(dict.fromkeys(ABOUT, 0), index=range(many)).assign(
        system="mine", arrived_s=np.arange(many) * 1.0, first_token_s=np.arange(many) + 1.0, cold=False
    )
    requests.loc[:9, "first_token_s"] = np.nan
    drawn, said = ttft_over_time(requests, ["mine"], styles(["mine"]), [])
    shown = sum(len(trace["x"]) for trace in drawn["data"])
    assert shown <= POINTS
    assert said.startswith(f" {shown:,} of {many - 10:,} are drawn")
    assert said.endswith("Never had a first token: 10 of mine.")


def test_every_marker_and_dash_of_a_system_has_its_like() -> None:
    assert {style.marker for style in styles([*BUILT_IN, *"abcdef"]).values()} <= SYMBOLS.keys()


def test_assumptions_are_numbered_without_a_gap() -> None:
    assert [one.number for one in assumptions()] == [f"A{at}" for at in range(1, len(assumptions()) + 1)]
    assert len(assumptions()) > 50


def test_an_assumption_shows_what_it_is_set_to_where_it_concerns_anyone() -> None:
    resolved = {
        "slo": "published",
        "system": [
            {"name": "a", "engine": "e", "keepalive": {"policy": "fixed", "seconds": 60.0}},
            {"name": "b", "engine": "e", "keepalive": {"policy": "break-even"}},
        ],
    }
    own = Assumption("A1", "", "", "`keepalive.seconds`, `slo`")
    assert setting(own, resolved) == "keepalive.seconds: 60.0; slo: published"
    assert setting(own._replace(key="`keepalive`"), resolved) == "fixed (a); break-even (b)"
    assert concerns(own._replace(key="`keepalive` (break-even)"), resolved)
    assert not concerns(own._replace(key="`keepalive` (RainbowCake)"), resolved)
    assert not concerns(own._replace(key="engine profile `other`, `host`"), resolved)


def test_without_plotly_there_is_one_line_with_the_cure(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simlora.report.page.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r'pip install "simlora\[report\]"'):
        write_report(finished, finished / "none.html")


def test_the_verb_says_where_the_page_is(finished: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "simlora.cli", "report", str(finished), "--out", str(tmp_path / "new" / "r.html")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert re.fullmatch(r".*r\.html: 11 figures, \d\.\d MB\n", done.stdout), done.stderr
