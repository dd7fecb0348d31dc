"""Shared backbones: mapped where resident, loaded once for all who ask at once, kept a while after the last."""

from __future__ import annotations

from typing import Any

import pytest

from simlora.engine import RunRecord
from simlora.testing.scenario import ROW, Scenario, make_functions, make_workload
from simlora.testing.steps import ConstantSteps

STEPS = ConstantSteps(0.05)
QUIET: dict[str, Any] = {"preloading": "none", "batching": {"policy": "fifo", "size": 1}}


def run(*rows: ROW, functions: int = 2, **overrides: Any) -> RunRecord:
    made = make_functions(*["llama-2-7b"] * functions)
    return Scenario("serverless-lora", made, make_workload(rows), QUIET | overrides, steps=lambda instance: STEPS).run()


def rows(record: RunRecord, kind: str, stage: str = "") -> list[dict[str, Any]]:
    return [row for row in record.events.to_pylist() if row["kind"] == kind and row["stage"] == stage]


def test_a_second_function_maps_what_the_first_has_loaded(exact_engine: str) -> None:
    record = run((0.0, 0, 100, 10), (15.0, 1, 100, 10), engine=exact_engine, containers="dedicated")
    assert len(rows(record, "backbone_loaded")) == 1
    first, second = rows(record, "stage_finished", "backbone")
    assert first["seconds"] == pytest.approx(3.963774 + 0.1, abs=1e-6)
    assert second["seconds"] == pytest.approx(0.1, abs=1e-9)
    assert (first["bytes"], second["bytes"]) == (0, 0)


def test_without_sharing_each_loads_its_own(exact_engine: str) -> None:
    record = run((0.0, 0, 100, 10), (15.0, 1, 100, 10), engine=exact_engine, containers="dedicated", sharing="none")
    assert rows(record, "backbone_loaded") == []
    stages = rows(record, "stage_finished", "backbone")
    assert [row["seconds"] for row in stages] == pytest.approx([3.963774] * 2, abs=1e-6)
    assert [row["bytes"] for row in stages] == [13_476_831_232] * 2


def test_two_that_start_at_once_load_it_once_and_both_wait(exact_engine: str) -> None:
    record = run((0.0, 0, 100, 10), (1.0, 1, 100, 10), engine=exact_engine)
    (loaded,) = rows(record, "backbone_loaded")
    mapped = rows(record, "stage_finished", "backbone")
    assert loaded["at_s"] == pytest.approx(4.36 + 3.963774, abs=1e-6)
    assert [row["at_s"] for row in mapped] == pytest.approx([loaded["at_s"] + 0.1] * 2, abs=1e-6)


@pytest.mark.parametrize(("gap_s", "loads"), [(100.0, 1), (130.0, 2)])
def test_a_backbone_outlives_its_last_mapper_by_its_keep_alive(gap_s: float, loads: int) -> None:
    """The instance ends 60 s after its batch, the backbone 60 s after that: about 130 s after the arrival."""
    record = run((0.0, 0, 100, 10), (gap_s + 9.0, 1, 100, 10))
    assert len(rows(record, "backbone_loaded")) == loads
    ended = [row["at_s"] for row in rows(record, "instance_stopped")]
    evicted = [row["at_s"] for row in rows(record, "backbone_evicted")]
    assert evicted[-1] == pytest.approx(ended[-1] + 60.0)


def test_a_backbone_that_somebody_maps_again_stays() -> None:
    record = run((0.0, 0, 100, 10), (100.0, 1, 100, 10))
    (evicted,) = rows(record, "backbone_evicted")
    assert evicted["at_s"] > 200.0


def test_its_time_begins_anew_with_each_last_mapper() -> None:
    """Unmapped at about 15 s, mapped again from 40 to about 52: it goes at about 112 s, not at 75."""
    record = run((0.0, 0, 100, 10), (40.0, 1, 100, 10), keepalive={"policy": "fixed", "idle_s": 5.0})
    ended = [row["at_s"] for row in rows(record, "instance_stopped")]
    (evicted,) = rows(record, "backbone_evicted")
    assert evicted["at_s"] == pytest.approx(ended[1] + 60.0)


def test_batches_of_two_functions_on_one_backbone_slow_each_other_down() -> None:
    """Time slicing: a second of decoding takes two while the other runs."""
    world = [(0.0, 0, 100, 10), (0.0, 1, 100, 10), (30.0, 0, 100, 40), (30.0, 1, 100, 40)]
    record = run(*world)
    warm = record.requests.to_pylist()[2:]
    assert [row["finished_s"] - row["started_s"] for row in warm] == pytest.approx([4.0, 4.0])
    assert {row["gpu"] for row in warm} == {0}


def insta(*traffic: ROW, functions: int) -> RunRecord:
    made = make_functions(*["llama-2-7b"] * functions)
    return Scenario("insta-infer", made, make_workload(traffic), steps=lambda instance: STEPS).run()


def test_a_process_that_runs_ends_the_others_in_its_container() -> None:
    """Both call every 20 s; the idle container of one is pre-loaded with the other, until the one runs again."""
    traffic = [(20.0 * i + 7.0 * f, f, 100, 10) for i in range(8) for f in range(2)]
    record = insta(*traffic, functions=2)
    taken = [row for row in record.events.to_pylist() if row["why"] == "its container was taken"]
    assert taken
    starts = {row["instance"]: row for row in rows(record, "instance_started")}
    bound = sorted(record.requests["bound_s"].to_pylist())
    for row in taken:
        assert any(row["at_s"] == pytest.approx(at_s) for at_s in bound)
        assert starts[row["instance"]]["at_s"] < row["at_s"]


def test_packed_processes_stay_when_one_of_them_runs() -> None:
    traffic = [(20.0 * i + 7.0 * f, f, 100, 10) for i in range(8) for f in range(2)]
    made = make_functions("llama-2-7b", "llama-2-7b")
    record = Scenario("serverless-lora", made, make_workload(traffic), steps=lambda instance: STEPS).run()
    assert [row for row in record.events.to_pylist() if row["why"] == "its container was taken"] == []
