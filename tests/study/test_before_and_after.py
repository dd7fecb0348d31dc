"""What is said before a run (regime) and after it (tables, trust box), against figures worked by hand."""

from __future__ import annotations

import io
import math
import re

import pytest
from rich.console import Console

from simlora.latency import load_profile
from simlora.study.experiment import read_study
from simlora.study.fitted import fitted
from simlora.study.grid import build_grid
from simlora.study.numbers import written
from simlora.study.overrides import parse_setting
from simlora.study.regime import regime_table, regimes, survey
from simlora.study.tables import tables
from simlora.study.trust import trust_box


def text_of(*parts, width=200):
    console = Console(file=io.StringIO(), width=width)
    for part in parts:
        console.print(part)
    return console.file.getvalue()


@pytest.fixture
def traffic_file(folder):
    lines = ["arrived_s,function,prompt_tokens,output_tokens", *(f"{i}.0,a,100,3" for i in range(3)), "9.0,b,50,1"]
    (folder.path / "t.csv").write_text("\n".join(lines) + "\n")
    folder.edit("experiment.toml", '{ name = "poisson", rate_per_s = 0.05 }', '"t.csv"')
    return folder


def test_the_regime_of_four_requests(traffic_file):
    grid = build_grid(read_study(traffic_file.file))
    [found] = regimes(grid, survey(grid))
    assert (found.requests, found.offered_per_s, found.largest_share) == (4, 4 / 600, 0.75)
    profile = load_profile("l40s")
    a, b = grid.cells[0].functions
    of_a, of_b = (profile.model(f.backbone, f.target_modules) for f in (a, b))
    wanted = 3 * (of_a.prefill_s([100], [16]) + of_a.decode_step_s([100], [16]) + of_a.decode_step_s([101], [16]))
    assert found.wanted_gpu_s == pytest.approx(wanted + of_b.prefill_s([50], [8]))
    assert found.there_gpu_s == 4 * 600
    assert found.unshared_bytes - found.shared_bytes == a.backbone.weights_bytes
    assert found.there_bytes == 4 * profile.gpu.usable_bytes
    assert "75%" in text_of(regime_table([found], "hf-eager"))


def test_regimes_of_a_sweep(folder):
    grid = build_grid(read_study(folder.file, [parse_setting("scenario.rate_scale=1,4")]))
    low, high = regimes(grid, survey(grid))
    assert high.requests > 2 * low.requests


def test_lengths_beyond_what_was_measured_are_told_once_and_not_as_warnings(traffic_file, capsys, recwarn):
    survey(build_grid(read_study(traffic_file.file)))
    assert capsys.readouterr().err == ""
    (traffic_file.path / "long.csv").write_text((traffic_file.path / "t.csv").read_text().replace(",100,", ",9999999,"))
    traffic_file.edit("experiment.toml", "t.csv", "long.csv")
    survey(build_grid(read_study(traffic_file.file)))
    said = " ".join(capsys.readouterr().err.split())
    assert said == "some requests are longer than what was measured of l40s, hence less certain"
    assert not recwarn.list


def row(system, seed, ttft, cost=1.0, scenario="s", point="base"):
    return {
        "system": system,
        "scenario": scenario,
        "point": point,
        "seed": seed,
        "requests": 10,
        "finished": 9,
        "rejected": 0,
        "failed": 0,
        "cold_starts": 2,
        "ttft_mean_s": ttft,
        "ttft_p99_s": 2 * ttft,
        "slo_attainment": 0.5,
        "cost_usd": cost,
        "cost_effectiveness": 1 / (ttft * cost),
    }


def test_figures_and_ratios_to_the_first():
    seeds = range(6)
    rows = [row("one", seed, 1.0 + seed) for seed in seeds] + [row("two", seed, 2.0 * (1.0 + seed)) for seed in seeds]
    text = text_of(*tables(rows))
    assert "3.5" in text
    assert "90.0%" in text
    assert "20.0%" in text
    ratios = text.partition("ratio to one")[2]
    assert "2.00*" in ratios
    assert "2.00 to 2.00" in ratios


def test_the_share_of_the_gap_stands_where_a_bound_does():
    rows = [row(name, 0, ttft) for name, ttft in (("one", 5.0), ("two", 4.0), ("floor", 1.0))]
    assert "share of the gap" not in text_of(*tables(rows))
    gaps = text_of(*tables(rows, ["floor"])).partition("share of the gap to floor closed")[2]
    assert "25.0%" in gaps
    assert "one" in gaps
    assert "100.0%" not in gaps  # the bound has no row of its own


def test_few_seeds_call_nothing_real_and_one_has_no_interval():
    text = text_of(*tables([row("one", 0, 1.0), row("two", 0, 2.0)]))
    assert "one seed: no interval" in text
    assert "1.00 to 1.00" not in text
    assert "2.00*" not in text


def test_one_seed_is_paired_with_nothing():
    assert "paired" not in text_of(*tables([row("one", 0, 1.0), row("two", 0, 2.0)]))


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_names_and_numbers_are_whole_on_a_narrow_terminal(width):
    names = ("serverless-lora with one thing", "serverless-lora with another")
    figures, _ = tables([row(name, seed, 1234.5 + seed) for name in names for seed in range(3)])
    texts = [text_of(part, width=width) for part in fitted(figures, width)]
    assert (len(texts) > 1) == (width < 160)
    text = "\n".join(texts)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    assert re.findall(r"1,23\d to 1,23\d", text) == re.findall(r"1,23\d to 1,23\d", text_of(figures))
    for part in texts:
        first_cells = [line.split("│")[1].strip() for line in part.splitlines() if line.startswith("│")]
        assert "".join(first_cells).replace(" ", "") == "".join(names).replace(" ", "")


def test_a_table_that_fits_is_as_it_was():
    figures, _ = tables([row(name, seed, 1.0) for name in ("one", "two") for seed in range(3)])
    assert list(fitted(figures, 200)) == [figures]


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        (2234.4, ".3g", "2,234"),
        (1.0, ".3g", "1.00"),
        (0.9996, ".3g", "1.00"),
        (0.0123456, ".3g", "0.0123"),
        (123.4, ".3g", "123"),
        (-5.678, "+.3g", "-5.68"),
        (5.678, "+.3g", "+5.68"),
        (0.0, ".3g", "0"),
        (1.5e-9, ".3g", "1.5e-09"),
        (0.1234, ".1%", "12.3%"),
    ],
)
def test_numbers_keep_their_digits_and_have_no_exponent(value, form, text):
    assert written(value, form) == text


def test_finished_is_a_column_only_where_something_is_not():
    whole = {**row("one", 0, 1.0), "finished": 10}
    assert "100.0%" not in text_of(*tables([whole]))
    assert "all requests finished" in text_of(*tables([whole]))
    assert "90.0%" in text_of(*tables([whole, row("two", 0, 1.0)]))


@pytest.mark.parametrize("end", ["rejected", "failed"])
def test_what_became_of_the_others_is_a_column_only_where_it_did(end):
    assert end not in text_of(*tables([row("one", 0, 1.0)]))
    found = text_of(*tables([{**row("one", 0, 1.0), "finished": 7, end: 3}, row("two", 0, 1.0)]))
    assert end in found
    assert "30.0%" in found


def test_a_figure_that_does_not_exist_is_a_dash():
    assert " - " in text_of(*tables([row("one", 0, math.nan)]))


def test_scenarios_and_points_have_tables_of_their_own():
    rows = [row("one", 0, 1.0), row("one", 0, 1.0, scenario="t"), row("one", 0, 1.0, point="k=1")]
    assert [table.title for table in tables(rows)] == ["s", "t", "s, k=1"]


def test_the_trust_box(folder, tmp_path):
    cells = build_grid(read_study(folder.file)).cells[:2]
    part = {"source": "", "error": "held-out shapes: median 6 %; more", "valid": ""}
    facts = [
        {
            "trust": [{"part": "gpu", "label": "measured", **part}, {"part": "lora", "label": "assumption", **part}],
            "out_of_range": {"calls": 200, "out": out},
            "workload": f"real: Azure, 8 segments v{seed}",
        }
        for seed, out in ((10, 0), (11, 3))
    ]
    text = text_of(trust_box(cells, facts, tmp_path))
    assert "measured (1)" in text
    assert "assumption (1)" in text
    assert "held-out shapes: median 6 %" in text
    assert "more" not in text
    assert f"{cells[1].system} 1.50%" in text
    assert "real: Azure, 8 segments v1..." in text
    assert text.index("measured") < text.index("assumption")
    assert "failures" not in text


ERRORS = """\
system,scenario,metric,statistic,predicted_s,measured_s,error,low,high,requests
one,calm,TTFT,mean,1.0,1.0,0.04,0,0.1,9
two,calm,TTFT,mean,1.0,1.25,-0.2,0,0.1,9
two,calm,TTFT,p99,1.0,2.0,-0.5,0,0.1,9
"""


def test_the_trust_box_says_how_far_off_real_runs_were_or_that_there_are_none(folder, tmp_path):
    cells = build_grid(read_study(folder.file)).cells[:1]
    facts = [{"trust": [], "out_of_range": {"calls": 1, "out": 0}, "workload": "w"}]
    assert "no validated run yet; simlora validate" in text_of(trust_box(cells, facts, tmp_path))
    (tmp_path / "errors-requests.csv").write_text(ERRORS)
    assert "mean TTFT -20.0% (two, calm, the worst of 2)" in text_of(trust_box(cells, facts, tmp_path))


def test_what_fails_is_named_before_and_after(folder, tmp_path):
    failure = 'failure = [{ what = "gpu", gpu = 3, at_s = 60, for_s = 5.5 }, { what = "worker", rate_per_hour = 2 }]'
    folder.edit("experiment.toml", "duration_s = 600", f"duration_s = 600\n{failure}")
    grid = build_grid(read_study(folder.file))
    facts = [{"trust": [], "out_of_range": {"calls": 1, "out": 0}, "workload": "w"}]
    assert "gpu 3 at 60 s for 5.5 s, worker 2 an hour" in text_of(trust_box(grid.cells[:1], facts, tmp_path))
    [found] = regimes(grid, survey(grid))
    assert found.failures == "gpu 3 at 60 s for 5.5 s, worker 2 an hour"
    shown = text_of(regime_table([found], "hf-eager"))
    assert "failures" in shown
    assert "worker 2" in shown


def test_the_trust_box_names_every_part_by_its_whole(folder, tmp_path):
    cells = build_grid(read_study(folder.file)).cells[:1]
    parts = [f"{whole}: {part}" for whole in ("kernels", "engine") for part in "abcdefgh"]
    trust = [{"part": part, "label": "derived", "source": "", "error": "", "valid": ""} for part in ("gpu", *parts)]
    text = text_of(
        trust_box(cells, [{"trust": trust, "out_of_range": {"calls": 1, "out": 0}, "workload": "w"}], tmp_path)
    )
    assert "derived (17)" in text
    for line in ("gpu ", "kernels: a, b, c, d, e, f, g, h ", "engine: a, b, c, d, e, f, g, h "):
        assert f"│ {line}" in text
