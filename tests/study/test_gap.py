"""Greed against the optimum, as ``simlora gap`` measures it."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from simlora.errors import ConfigError
from simlora.study.gap import Measured, gap_table, measure, run_gap


def text_of(found: list[Measured]) -> str:
    console = Console(file=StringIO(), width=200)
    console.print(gap_table(found, 5.0))
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def test_an_instance_is_the_same_each_time_and_greed_is_never_ahead() -> None:
    for seed in range(4):
        first, again = (measure(8, 2, seed, 30.0, "l40s") for _ in range(2))
        assert replace(again, greedy_s=first.greedy_s, exact_s=first.exact_s) == first
        assert first.proved
        assert -1e-6 <= first.gap < 1.0
    assert measure(8, 2, 0, 30.0, "l40s").exact_value != measure(8, 2, 1, 30.0, "l40s").exact_value


def test_what_was_not_solved_is_said_and_left_out_of_the_gap() -> None:
    solved = Measured(8, 2, 0, 0.9, 1.0, 1e-3, 0.1, True)
    cut_short = replace(solved, seed=1, greedy_value=0.2, proved=False)
    text = text_of([solved, cut_short])
    assert "10.00%" in text
    assert "1 of 2" in text
    assert "0 of 1" in text_of([solved])
    assert "1 of 1" in text_of([cut_short])


def test_a_search_without_time_proves_nothing() -> None:
    assert not measure(32, 4, 0, 0.01, "l40s").proved


def test_the_verb_writes_figures_and_their_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_gap([2, 4], [1], 2, 5.0, "l40s", tmp_path)
    assert len(pd.read_csv(tmp_path / "gap.csv")) == 4
    assert {path.name for path in (tmp_path / "figures").iterdir()} >= {"gap.png", "gap.pdf", "gap.csv"}
    assert "Greedy pre-loading" in capsys.readouterr().out


def test_a_file_in_the_place_of_the_folder_is_said_before_anything_is_measured(tmp_path: Path) -> None:
    (tmp_path / "gap").write_text("")
    with pytest.raises(ConfigError, match="results need a folder"):
        run_gap([10_000], [1], 1, 5.0, "l40s", tmp_path / "gap")
