"""A described functions table is balanced, says the same each time, and can be swept over."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from simlora.errors import SimloraError
from simlora.study.experiment import read_study
from simlora.study.generated import GeneratedFunctions
from simlora.study.grid import build_grid
from simlora.study.overrides import parse_setting

KINDS = {
    "backbones": ["llama-2-7b", "llama-2-13b"],
    "ranks": [8, 16, 32],
    "target_modules": ["q_proj;v_proj", "all-linear"],
}
DESCRIBED = 'functions = { count = 5, backbones = ["llama-2-7b"], ranks = [8, 64] }'


def rows(count, **changed):
    return GeneratedFunctions(count=count, **{**KINDS, **changed}).rows(Path())


def kind(row):
    return row["backbone"], row["rank"], len(row["target_modules"])


def test_every_kind_is_there_equally_often_and_a_further_function_changes_no_other():
    found = rows(12 * 25 + 5)
    assert found[:100] == rows(100)
    assert set(Counter(map(kind, found)).values()) == {25, 26}
    assert [row["function"] for row in found[:3]] == ["f0", "f1", "f2"]


def test_the_popular_are_of_no_particular_kind():
    firsts = Counter(kind(found[block]) for found in [rows(12 * 60)] for block in range(0, 720, 12))
    assert len(firsts) > 8
    assert rows(24, seed=1) != rows(24)


def test_a_value_named_twice_is_taken_twice_as_often():
    found = Counter(row["backbone"] for row in rows(90, backbones=["llama-2-7b", "llama-2-7b", "llama-2-13b"]))
    assert found == {"llama-2-7b": 60, "llama-2-13b": 30}


def test_slos():
    assert {row["backbone"]: row["slo_ttft_s"] for row in rows(12)} == {"llama-2-7b": 2.5, "llama-2-13b": 4.0}
    assert {row["slo_ttft_s"] for row in rows(12, slo_ttft_s=1)} == {1.0}
    own = rows(12, slo_ttft_s={"llama-2-7b": 1.5}, slo_tpot_s=0.1)
    assert {row["backbone"]: row["slo_ttft_s"] for row in own} == {"llama-2-7b": 1.5, "llama-2-13b": 4.0}
    assert {row["slo_tpot_s"] for row in own} == {0.1}
    assert rows(1, backbones=["llama-3.1-8b"])[0]["slo_ttft_s"] is None


def test_the_number_of_functions_can_be_swept(folder):
    folder.edit("experiment.toml", 'functions = "functions.csv"', DESCRIBED)
    grid = build_grid(read_study(folder.file, [parse_setting("functions.count=2,7")]))
    assert {cell.point: len(cell.functions) for cell in grid.cells} == {
        "functions.count=2": 2,
        "functions.count=7": 7,
    }


def test_a_scenario_can_describe_its_own(folder):
    folder.edit("experiment.toml", "duration_s = 600", f"duration_s = 600\n{DESCRIBED}")
    assert [function.rank for function in build_grid(read_study(folder.file)).cells[0].functions][:2] in (
        [8, 64],
        [64, 8],
    )


@pytest.mark.parametrize(
    ("old", "new", "fragments"),
    [
        ("count = 5", "count = 0", ["experiment.toml:2", "functions.count", "found 0"]),
        ("count = 5", "coun = 5", ["experiment.toml:2", 'no key "functions.coun"', 'did you mean "count"']),
        ("llama-2-7b", "lama-2-7b", ["experiment.toml:2", "functions", 'did you mean "llama-2-7b"']),
        ("64]", '64], target_modules = ["q_prj"]', ["experiment.toml:2", "target_modules", 'did you mean "q_proj"']),
        ("64]", "64], slo_ttft_s = { llama = 2 }", ["experiment.toml:2", "slo_ttft_s", '"llama" is none of']),
        ("64]", "64], slo_ttft_s = -1", ["experiment.toml:2", "slo_ttft_s", "-1"]),
        ("8, 64", "", ["experiment.toml:2", "functions.ranks"]),
    ],
)
def test_bad_descriptions_are_named(folder, old, new, fragments):
    folder.edit("experiment.toml", 'functions = "functions.csv"', DESCRIBED)
    folder.edit("experiment.toml", old, new)
    with pytest.raises(SimloraError) as found:
        build_grid(read_study(folder.file))
    for fragment in fragments:
        assert fragment in str(found.value)


def test_keys_of_a_table_that_is_a_file_are_refused(folder):
    with pytest.raises(SimloraError, match=r"functions.count needs functions = \{"):
        read_study(folder.file, [parse_setting("functions.count=3")])
