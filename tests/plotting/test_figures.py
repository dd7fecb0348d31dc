"""A figure shows what its data say, looks the same everywhere, and comes out the same to the byte."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from simlora.errors import ConfigError
from simlora.plotting import bars, breakdown_bars, cost_bars, memory_over_time, plot, styles, ttft_cdf
from simlora.plotting.grid import select
from simlora.plotting.labels import label, scale
from simlora.plotting.phases import without_slivers
from simlora.plotting.style import BUILT_IN, OTHERS
from simlora.results.summary import COLUMNS
from simlora.systems import list_systems

ABLATIONS = ["NBS", "NPL", "NDO", "NAB-1", "NAB-2", "NAB-3"]


@pytest.fixture(scope="module")
def summary() -> pd.DataFrame:
    """Two systems, two scenarios, two numbers of nodes, three seeds; each value says where it is from."""
    rows = [
        {
            "system": system, "scenario": scenario, "point": f"cluster.nodes={nodes}", "cluster.nodes": nodes,
            "seed": seed, "ttft_mean_s": base + nodes + 0.1 * seed, "ttft_p99_s": 9.0, "cost_usd": base * nodes,
            "usd_per_1k_requests": 1.0, "cost_effectiveness": 0.1, "gpu_mem_mean_bytes": base * 10**9,
        }
        for base, system in ((10.0, "vllm"), (20.0, "mine"))
        for scenario in ("normal", "bursty")
        for nodes in (1, 2)
        for seed in range(3)
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def requests() -> pd.DataFrame:
    """Four requests of one system, one of them timed out after its first token."""
    return pd.DataFrame(
        {
            "system": "mine",
            "outcome": ["finished", "timed_out", "finished", "finished"],
            "arrived_s": [0.0, 0.0, 1.0, 2.0],
            "first_token_s": [4.0, 0.1, 2.0, 4.0],
        }
    )


def test_each_system_keeps_its_colour_whoever_else_is_shown() -> None:
    assert set(BUILT_IN) == set(list_systems())
    alone, together = styles(["mine"]), styles(["vllm", "mine", "serverless-lora"])
    assert alone["mine"] == together["mine"]
    assert together["vllm"] == BUILT_IN["vllm"]


def test_systems_of_one_experiment_never_look_alike() -> None:
    look = styles([*BUILT_IN, *ABLATIONS])
    assert len({style.color for style in look.values()}) == len({style.marker for style in look.values()}) == len(look)
    assert len(styles([f"s{i}" for i in range(20)])) == 20
    assert {style.color for style in OTHERS}.isdisjoint(style.color for style in BUILT_IN.values())


def test_every_column_of_the_summary_has_a_label_with_its_unit() -> None:
    counts = {"requests", "finished", "rejected", "failed", "timed_out", "unfinished", "gpus_mean", "gpus_max"}
    for column in COLUMNS:
        assert "_" not in label(column)
        assert column in counts or "(" in label(column) or "USD" in label(column)
        assert (scale(column) == 1e9) == ("GB" in label(column))
        assert (scale(column) == 0.01) == ("(%)" in label(column))
        assert "GiB" not in label(column)
        assert "share" not in label(column)
    assert label("ttft_p99_s") == "TTFT, 99th percentile (s)"
    assert label("cluster.nodes") == "Nodes"


def test_the_cdf_of_ttft_ends_at_the_finished_share(requests: pd.DataFrame) -> None:
    data = ttft_cdf(requests, slo_s=2.5).data
    assert data["ttft_s"].tolist() == [1.0, 1.0, 2.0, 4.0]
    assert data["share_of_requests"].tolist() == [0.0, 0.25, 0.5, 0.75]


def test_a_long_cdf_keeps_its_ends(requests: pd.DataFrame) -> None:
    many = pd.concat([requests.assign(outcome="finished", first_token_s=lambda f: f["arrived_s"] + 1)] * 1000)
    many["first_token_s"] += np.arange(len(many)) / len(many)
    data = ttft_cdf(many).data
    assert len(data) <= 1001
    assert data["share_of_requests"].iloc[-1] == 1.0
    assert data["ttft_s"].iloc[[0, -1]].tolist() == pytest.approx([1.0, 2 - 1 / 4000])


def test_memory_over_time_is_the_exact_mean_of_each_stretch() -> None:
    usage = pd.DataFrame(
        {
            "system": ["mine", "mine", "mine"],
            "holder": ["instance", "backbone", "gpu"],
            "from_s": [0.0, 24.5, 0.0],
            "to_s": [48.0, 96.0, 96.0],
            "device_bytes": [10**9, 3 * 10**9, 99 * 10**9],
        }
    )
    gb = memory_over_time(usage).data["gb"]
    assert gb[[0, 23, 24, 25, 47, 48, 95]].tolist() == pytest.approx([1, 1, 2.5, 4, 4, 3, 3])


def test_memory_of_an_always_on_system_is_held_to_the_end() -> None:
    usage = pd.DataFrame(
        {
            "system": ["vllm", "vllm", "mine", "late"],
            "holder": ["instance", "gpu", "instance", "instance"],
            "from_s": 0.0,
            "to_s": [48.0, 48.0, 24.0, 96.0],
            "device_bytes": 10**9,
            "seed": 3,
        }
    )
    picture = memory_over_time(usage)
    last = picture.data.groupby("system")["gb"].last()
    assert last["mine"] == 0.0
    assert last["vllm"] == last["late"] == pytest.approx(1.0)
    assert picture.figure.axes[0].get_xlabel() == "Time (s), one run, seed 3"


def test_memory_of_an_always_on_system_is_there_beside_one_that_takes_a_hundred_times_as_long() -> None:
    usage = pd.DataFrame(
        {"system": ["vllm", "vllm", "late"], "holder": ["instance", "gpu", "instance"], "from_s": 0.0,
         "to_s": [9.0, 9.0, 960.0], "device_bytes": 10**9}
    )  # fmt: skip
    assert memory_over_time(usage).data["gb"].tolist() == pytest.approx([1.0] * 192)


def test_bars_show_the_mean_over_seeds(summary: pd.DataFrame) -> None:
    data = bars(summary[summary["cluster.nodes"] == 1]).data
    first = data[(data["system"] == "mine") & (data["scenario"] == "bursty")].iloc[0]
    assert first["estimate"] == pytest.approx(21.1)
    assert (first["n"], first["metric"]) == (3, "TTFT, mean (s)")
    assert first["low"] == pytest.approx(21.0)
    with pytest.raises(ConfigError, match='no column named "ttft_men_s"; did you mean "ttft_mean_s"'):
        bars(summary, ("ttft_men_s",))


def test_slivers_join_but_nothing_is_lost() -> None:
    means = pd.DataFrame(
        {
            "queue": [0.0],
            "start-up: a": [0.01],
            "start-up: b": [0.01],
            "start-up: c": [500.0],
            "prefill": [0.1],
            "decode": [5.0],
        }
    )
    thinned = without_slivers(means, 505.0)
    assert list(thinned.columns) == ["start-up: c", "start-up: other", "prefill", "decode"]
    assert thinned.sum(axis=1).tolist() == pytest.approx(means.sum(axis=1).tolist())


def test_the_bars_of_a_breakdown_add_up_to_all_phases() -> None:
    phases = pd.DataFrame(
        {
            "system": ["a", "b", "c"], "seed": 0, "queue": [-6.6e-20, 0.3, 0.1], "start-up: x": [0.01, 0.02, 0.0],
            "start-up: y": [0.03, 0.01, 0.02], "prefill": [0.001, 0.002, 0.0], "decode": [5.0, 6.0, 7.0],
        }
    )  # fmt: skip
    picture = breakdown_bars(phases)
    totals = phases.drop(columns=["system", "seed"]).sum(axis=1).tolist()
    drawn = np.zeros(3)
    for stack in picture.figure.axes[0].containers:
        drawn += [bar.get_width() for bar in stack]  # type: ignore[attr-defined]
    assert drawn.tolist() == pytest.approx(totals)
    assert picture.data.groupby("system")["seconds"].sum().tolist() == pytest.approx(totals)
    assert len(picture.data) == 15
    assert picture.data["seconds"].min() == 0.0


def test_a_bar_that_would_hide_the_others_is_cut_and_says_so() -> None:
    phases = pd.DataFrame({"system": list("abc"), "seed": 0, "queue": [790.0, 1.0, 0.0], "decode": [5.0, 6.0, 7.0]})
    picture = breakdown_bars(phases)
    [axes] = picture.figure.axes
    assert [text.get_text() for text in axes.texts] == ["795 s:\n790 s queue", "7 s", "7 s"]
    assert "cut" in axes.get_xlabel()
    assert max(axes.get_xticks()) < axes.get_xlim()[1] < 20
    assert picture.data["seconds"].sum() == 809.0


def test_the_legend_shows_the_marks_that_are_drawn(summary: pd.DataFrame) -> None:
    one = summary[summary["cluster.nodes"] == 1]
    wide = one.assign(ttft_p99_s=one["ttft_mean_s"] * np.where(one["system"] == "vllm", 1.0, 50.0))
    kinds = {
        column: {type(shown).__name__ for shown in bars(wide, (column,)).figure.legends[0].legend_handles}
        for column in ("ttft_mean_s", "ttft_p99_s")
    }
    assert kinds == {"ttft_mean_s": {"Rectangle"}, "ttft_p99_s": {"Line2D"}}


def test_many_systems_get_the_width_of_the_text(requests: pd.DataFrame) -> None:
    many = pd.concat([requests.assign(system=f"s{i}") for i in range(7)])
    assert ttft_cdf(many).figure.get_figwidth() == 7.0
    assert ttft_cdf(requests).figure.get_figwidth() == 3.35


def test_a_swept_number_gives_lines_over_its_values(summary: pd.DataFrame) -> None:
    picture = plot(summary, "cluster.nodes", "ttft_mean_s", curve="system", col="scenario")
    assert len(picture.figure.axes) == 2
    assert len(picture.data) == 8
    bursty = picture.data[(picture.data["system"] == "vllm") & (picture.data["scenario"] == "bursty")]
    assert bursty["estimate"].tolist() == pytest.approx([11.1, 12.1])
    for axes in picture.figure.axes:
        assert axes.get_ylim() == pytest.approx((0, 1.06 * 22.2), rel=0.01)


def test_a_measured_x_gives_a_point_per_run_in_the_unit_of_its_label(summary: pd.DataFrame) -> None:
    data = plot(summary, "gpu_mem_mean_bytes", "ttft_mean_s", curve="system").data
    assert len(data) == 8
    assert sorted(data["gpu_mem_mean_bytes"].unique()) == [10.0, 20.0]


def test_a_mean_that_would_mix_scenarios_or_points_is_refused(summary: pd.DataFrame) -> None:
    with pytest.raises(ConfigError, match=r"mix values of scenario \(bursty, normal\); choose one by a filter"):
        plot(summary, "cluster.nodes", "ttft_mean_s", curve="system")
    with pytest.raises(ConfigError, match="mix values of point"):
        plot(summary, "scenario", "ttft_mean_s", curve="system")
    assert len(plot(select(summary, {"cluster.nodes": "2"}), "scenario", "ttft_mean_s", curve="system").data) == 4


def test_names_that_do_not_occur_are_answered_with_the_nearest(summary: pd.DataFrame) -> None:
    with pytest.raises(ConfigError, match='no scenario named "burst"; did you mean "bursty"'):
        select(summary, {"scenario": "burst"})
    with pytest.raises(ConfigError, match=r'no column named "cluster.node"; did you mean "cluster.nodes"'):
        plot(summary, "cluster.node", "ttft_mean_s")


def test_files_are_the_same_to_the_byte_with_embedded_fonts(tmp_path: Path, summary: pd.DataFrame) -> None:
    one_point = summary[summary["cluster.nodes"] == 1]
    written = [cost_bars(one_point, width="column").save(tmp_path / part / "cost") for part in ("a", "b")]
    for first, second in zip(*written, strict=True):
        assert first.read_bytes() == second.read_bytes()
    pdf = written[0][0].read_bytes()
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf
    assert b"CreationDate" not in pdf
    assert written[0][2].read_text().startswith("system,scenario,estimate,low,high")


def test_a_notebook_shows_a_picture_as_wide_as_a_screen_wants(summary: pd.DataFrame) -> None:
    png = cost_bars(summary[summary["cluster.nodes"] == 1])._repr_png_()
    assert png.startswith(b"\x89PNG")
    assert int.from_bytes(png[16:20], "big") == 840


@pytest.mark.parametrize(("width", "pixels"), [("column", 1005), ("text", 2100)])
def test_a_picture_is_as_wide_as_said(tmp_path: Path, width: str, pixels: int) -> None:
    phases = pd.DataFrame({"system": ["mine"], "seed": [0], "queue": [1.0], "start-up: a": [1.0], "decode": [2.0]})
    png = breakdown_bars(phases, width=width).save(tmp_path / "x")[1]  # type: ignore[arg-type]
    assert int.from_bytes(png.read_bytes()[16:20], "big") == pixels


def test_metrics_bills_and_prices_need_no_plotting_library() -> None:
    code = (
        "import sys, simlora.results.summary, simlora.results.prices, simlora.results.breakdown, "
        "simlora.results.statistics; "
        "print([name for name in ('pandas', 'matplotlib', 'scipy') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_legend_takes_as_few_rows_as_fit_the_figure() -> None:
    phases = ["queue", "start-up: backbone", "start-up: other", "instance wait", "prefill", "decode"]
    table = pd.DataFrame([{"system": "vllm", **dict.fromkeys(phases, 1.0)}])
    figure = breakdown_bars(table, "column").figure
    figure.draw_without_rendering()
    drawn, whole = figure.legends[0].get_window_extent(), figure.bbox
    assert 0 <= drawn.x0 < drawn.x1 <= whole.x1
    heights = sorted({round(shown.get_window_extent().y0 / 5) for shown in figure.legends[0].legend_handles})
    assert len(heights) == 2
