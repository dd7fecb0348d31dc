"""One request's story, and two systems compared request by request, on small runs of the real engine."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from simlora.errors import ConfigError
from simlora.results.one_request import story_of
from simlora.study.by_request import by_request_tables, compare_by_request
from simlora.study.explaining import draw_story, explain, the_cell
from simlora.testing.scenario import ROW, Scenario, make_functions, make_workload

ROWS: list[ROW] = [(0.0, 0, 100, 40), (2.0, 0, 60, 20), (30.0, 0, 100, 10), (31.0, 1, 80, 30), (200.0, 1, 100, 9)]
NO_CHOICE: dict[str, Any] = {"system": None, "scenario": None, "point": None, "seed": None}


def results(
    folder: Path, systems: Sequence[str], rows: Sequence[ROW] = ROWS, second: str = "llama-2-13b", **overrides: Any
) -> Path:
    for system in systems:
        scenario = Scenario(system, make_functions("llama-2-7b", second), make_workload(rows), overrides)
        cell = folder / "cells" / system / "small" / "base" / "0"
        cell.mkdir(parents=True)
        scenario.run().write(cell)
        (cell / "done").touch()
    lines = ["system,scenario,point,seed", *(f"{system},small,base,0" for system in systems)]
    (folder / "summary.csv").write_text("\n".join(lines) + "\n")
    return folder


def text_of(shown: Any) -> str:
    console = Console(file=StringIO(), width=160)
    for one in shown:
        console.print(one, soft_wrap=True)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def test_a_cold_request_names_its_stages_its_decisions_and_who_was_there(tmp_path: Path) -> None:
    cell = the_cell(results(tmp_path, ["serverless-lora"]), **NO_CHOICE)
    story = story_of(cell, 0)
    assert sum(story.phases.values()) == pytest.approx(story.row["finished_s"])
    whats = [one.what for one in story.happened]
    assert whats[0].startswith("arrives: 100 tokens")
    assert whats[-2:] == ["its first token", "its last token"]
    assert [one.at_s for one in story.happened] == sorted(one.at_s for one in story.happened)
    text = text_of(explain(cell, 0))
    for part in ("start-up: backbone", "no idle instance", "instance 0 on GPU 0", "from ssd", "backbone 0"):
        assert part in text
    assert story.held[0].own
    assert story.held[0].seconds("starting") == pytest.approx(story.row["ready_s"] - story.row["bound_s"])


def test_a_request_that_waits_for_its_adapter_sees_another_leave(tmp_path: Path) -> None:
    rows: list[ROW] = [(0.0, 0, 100, 40), (0.5, 1, 80, 30)]
    story = story_of(the_cell(results(tmp_path, ["peft"], rows, second="llama-2-7b"), **NO_CHOICE), 1)
    moved = [one.what for one in story.happened if "adapter" in one.what]
    assert [what.partition(" (")[0] for what in moved] == ["the adapter of f0", "the adapter of f1"]
    assert [what.partition(") ")[2] for what in moved] == ["leaves", "arrives from ssd"]


def test_a_warm_request_tells_why_it_went_where_it_did(tmp_path: Path) -> None:
    cell = the_cell(results(tmp_path, ["serverless-lora"]), **NO_CHOICE)
    story = story_of(cell, 2)
    assert list(story.phases) == ["queue", "prefill", "decode"]
    assert "goes to instance 0 on GPU 0: best preloaded" in text_of(explain(cell, 2))
    assert "start-up" not in text_of(explain(cell, 2))


def test_what_had_to_leave_for_a_request_is_part_of_its_story(tmp_path: Path) -> None:
    """InstaInfer takes the idle container, and what was in it ends."""
    folder = results(tmp_path, ["insta-infer"], [(0.0, 0, 100, 5), (20.0, 1, 100, 5)], preloading="none")
    assert "+0.000  instance 0 of f0 ends: its container was taken" in text_of(
        explain(the_cell(folder, **NO_CHOICE), 1)
    )


def test_a_choice_that_is_open_or_does_not_exist_is_told(tmp_path: Path) -> None:
    folder = results(tmp_path, ["serverless-lora", "serverless-llm"])
    with pytest.raises(ConfigError, match="choose by --system: serverless-llm, serverless-lora"):
        the_cell(folder, **NO_CHOICE)
    cell = the_cell(folder, **{**NO_CHOICE, "system": "serverless-llm"})
    with pytest.raises(ConfigError, match=r"--request 5: no such request .*there are 0 to 4"):
        story_of(cell, 5)


def test_a_run_that_did_not_record_the_reason_says_what_to_run(tmp_path: Path) -> None:
    cell = the_cell(results(tmp_path, ["serverless-lora"]), **NO_CHOICE)
    path = cell.folder / "requests.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["why"]), path)
    assert "run the experiment again with --fresh" in text_of(explain(cell, 0))


def test_its_picture_has_its_data(tmp_path: Path) -> None:
    folder = results(tmp_path, ["serverless-lora"])
    drawn = draw_story(folder, the_cell(folder, **NO_CHOICE), 0)
    assert [path.suffix for path in drawn] == [".pdf", ".png", ".csv"]
    assert all(path.parent == folder / "plots" for path in drawn)


# ---------------------------------------------------------------------------------------------- by request


def test_the_difference_by_phase_adds_up_to_that_of_the_first_token(tmp_path: Path) -> None:
    folder = results(tmp_path, ["serverless-lora", "insta-infer"])
    (found,) = compare_by_request([folder])
    assert found.names == ("serverless-lora", "insta-infer")
    early = [name for name in found.before if name != "decode"]
    for cell, side in zip(("serverless-lora", "insta-infer"), (found.before, found.after), strict=True):
        requests = the_cell(folder, **{**NO_CHOICE, "system": cell}).table("requests").to_pandas()
        ttft_s = (requests["first_token_s"] - requests["arrived_s"]).mean()
        assert sum(side[name][0] for name in early) == pytest.approx(ttft_s)
    grew = [one.after_s - one.before_s for one in found.worst]
    assert grew == sorted(grew, reverse=True)
    assert all(seconds > 0 for seconds in grew)
    text = text_of(by_request_tables([found]))
    assert "TTFT" in text
    assert all(str(one.request) in text for one in found.worst)


def test_the_same_system_in_two_folders_is_compared_and_equal_runs_do_not_differ(tmp_path: Path) -> None:
    once, again, without = tmp_path / "once", tmp_path / "again", tmp_path / "without"
    results(once, ["serverless-lora"])
    results(again, ["serverless-lora"])
    results(without, ["serverless-lora"], keepalive="none")
    (same,) = compare_by_request([once, again])
    assert same.before == same.after
    assert same.worst == []
    assert "delays no first token" in text_of(by_request_tables([same]))
    (worse,) = compare_by_request([once, without])
    assert worse.names == ("once: serverless-lora", "without: serverless-lora")
    assert worse.worst[0].phase.startswith("start-up: ")


def test_other_traffic_is_not_compared(tmp_path: Path) -> None:
    one = results(tmp_path / "one", ["serverless-lora"])
    other = results(tmp_path / "other", ["serverless-lora"], ROWS[:-1])
    with pytest.raises(ConfigError, match="not the same requests"):
        compare_by_request([one, other])
    with pytest.raises(ConfigError, match="no two runs"):
        compare_by_request([one])
