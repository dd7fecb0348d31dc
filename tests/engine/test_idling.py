"""Keep-alive: everything stays as long as was said when it last fell idle, and not longer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from simlora.engine import RunRecord
from simlora.testing.scenario import ROW, Scenario, make_functions, make_workload
from simlora.testing.steps import ConstantSteps

STEPS = ConstantSteps(0.05)
QUIET: dict[str, Any] = {"preloading": "none", "batching": {"policy": "fifo", "size": 1}}
Keep = Callable[[Any, Any], tuple[tuple[str, float], ...]]


def world(*rows: ROW, functions: int = 1, system: str = "serverless-lora", **overrides: Any) -> Scenario:
    made = make_functions(*["llama-2-7b"] * functions)
    return Scenario(system, made, make_workload(rows), QUIET | overrides, steps=lambda instance: STEPS)


def run_keeping(keep: Keep, *rows: ROW) -> RunRecord:
    simulation = world(*rows).simulation()
    simulation.policies["keepalive"].keep = keep
    return simulation.run()


def ended(record: RunRecord, kind: str = "instance_stopped") -> list[float]:
    return [row["at_s"] for row in record.events.to_pylist() if row["kind"] == kind]


@pytest.mark.parametrize("seconds", [0.0, 5.0, 60.0])
@pytest.mark.parametrize("system", ["serverless-lora", "insta-infer"])
def test_an_instance_ends_its_keep_alive_after_its_last_batch(seconds: float, system: str) -> None:
    keep = {"policy": "fixed", "idle_s": seconds}
    record = world((0.0, 0, 100, 10), (10.0, 0, 100, 10), system=system, keepalive=keep).run()
    assert ended(record)[-1] == pytest.approx(max(record.requests["finished_s"].to_pylist()) + seconds)


def test_use_puts_the_end_off() -> None:
    calls = [(40.0 * i, 0, 100, 10) for i in range(6)]
    record = world(*calls).run()
    assert record.requests["cold"].to_pylist() == [True] + [False] * 5
    assert ended(record) == pytest.approx([200.0 + 0.5 + 60.0])


def test_a_call_after_the_end_is_cold_again() -> None:
    record = world((0.0, 0, 100, 10), (75.0, 0, 100, 10)).run()
    assert record.requests["cold"].to_pylist() == [True, True]
    assert len(ended(record)) == 2


def test_a_long_batch_is_not_cut_off_by_the_deadline_of_the_one_before() -> None:
    record = world((0.0, 0, 100, 10), (30.0, 0, 100, 2000)).run()
    assert record.requests["cold"].to_pylist() == [True, False]
    assert ended(record) == pytest.approx([30.0 + 100.0 + 60.0])


def test_stages_may_go_before_the_container() -> None:
    """The adapter and all after it go 5 s after the batch, the rest 50 s after it; a call between loads the former."""

    def keep(instance: Any, view: Any) -> tuple[tuple[str, float], ...]:
        return ("adapter", view.now_s + 5.0), ("container", view.now_s + 50.0)

    record = run_keeping(keep, (0.0, 0, 100, 10), (30.0, 0, 100, 10))
    events = record.events.to_pylist()
    (first_s, second_s) = record.requests["finished_s"].to_pylist()
    evicted = [(row["stage"], row["at_s"]) for row in events if row["kind"] == "instance_evicted"]
    assert [stage for stage, _ in evicted] == ["adapter", "adapter"]
    assert [at_s for _, at_s in evicted] == pytest.approx([first_s + 5.0, second_s + 5.0])
    again = [row["stage"] for row in events if row["kind"] == "stage_finished" and row["at_s"] > 30.0]
    assert again == ["adapter", "kernels", "first_run"]
    assert ended(record) == pytest.approx([second_s + 50.0])


def test_the_newest_deadline_of_a_stage_counts() -> None:
    """Used again before its first deadline, the adapter stays until its second."""

    def keep(instance: Any, view: Any) -> tuple[tuple[str, float], ...]:
        return ("adapter", view.now_s + 30.0), ("container", view.now_s + 100.0)

    record = run_keeping(keep, (0.0, 0, 100, 10), (20.0, 0, 100, 10))
    assert ended(record, "instance_evicted") == pytest.approx([20.5 + 30.0])


def test_the_newest_deadline_counts_though_it_is_the_earlier_one() -> None:
    def keep(instance: Any, view: Any) -> tuple[tuple[str, float], ...]:
        return (("container", view.now_s + (100.0 if view.now_s < 15.0 else 10.0)),)

    record = run_keeping(keep, (0.0, 0, 100, 10), (20.0, 0, 100, 10))
    assert ended(record) == pytest.approx([20.5 + 10.0])


def test_a_container_keeps_all_that_is_in_it_as_long_as_any_of_it() -> None:
    """Pre-loaded processes end with the container, not by themselves."""
    calls = [(0.0, 0, 100, 10), (30.0, 1, 100, 10), (31.0, 0, 100, 10)]
    record = world(*calls, functions=2, preloading="pckp").run()
    ends: dict[float, int] = {}
    for row in record.events.to_pylist():
        if row["why"] == "keep-alive is over" and row["kind"] == "instance_stopped":
            ends[row["at_s"]] = ends.get(row["at_s"], 0) + 1
    last_s = max(record.requests["finished_s"].to_pylist())
    assert max(ends) == pytest.approx(last_s + 60.0)
