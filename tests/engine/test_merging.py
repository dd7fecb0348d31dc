"""Adapters merged into the weights: one function at the speed of the bare backbone, the others pause."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from pandas.testing import assert_frame_equal

from simlora.actions import Dispatch, Wait
from simlora.engine import RunRecord, Simulation
from simlora.entities import Function, QueuedRequest
from simlora.errors import PolicyError
from simlora.testing.scenario import ROW, Scenario, make_functions, make_workload
from simlora.testing.steps import ConstantSteps

STEPS = ConstantSteps(0.1, lora_s=0.1, switch_s=0.03)
ROWS: list[ROW] = [(0.0, 0, 100, 11), (0.0, 1, 100, 11)]


@dataclass
class Merge:
    """All unmerged at first; from ``at_s`` on the function ``which`` is merged until nothing of it is left."""

    which: int
    at_s: float

    def next_batch(self, at: Any, ready: Any, view: Any) -> Dispatch | Wait:
        waiting: list[QueuedRequest] = list(ready.in_order())
        if at is None:
            return Dispatch(waiting[:1]) if waiting else Wait()
        mine: Function = view.functions[self.which]
        merge = view.now_s >= self.at_s and any(r.request.function is mine for r in at.running.values())
        if merge:
            return Dispatch([r for r in waiting if r.function is mine], merge=mine, ask_again_after_steps=1)
        return Dispatch(waiting, ask_again_after_steps=1)


def simulation(policy: Any, rows: list[ROW] = ROWS, stepwise: bool = False, **keys: Any) -> Simulation:
    functions = make_functions("llama-2-7b", "llama-2-7b", "llama-2-7b")
    world = Scenario("vllm", functions, make_workload(rows, 2000), keys, steps=lambda instance: STEPS)
    made = world.simulation(stepwise)
    made.policies["batching"] = policy
    return made


def run(which: int, at_s: float, rows: list[ROW] = ROWS, **keys: Any) -> RunRecord:
    return simulation(Merge(which, at_s), rows, **keys).run()


def finished(record: RunRecord) -> list[float]:
    return [float(at_s) for at_s in record.requests["finished_s"].to_pylist()]


def test_unmerged_both_pay_for_their_adapters() -> None:
    first, second = finished(run(0, 1e9))
    loads_s = first - (0.1 + 10 * 0.2)
    assert first == second
    assert 0 < loads_s < 0.15


def test_a_merged_adapter_runs_at_the_speed_of_the_backbone_and_the_other_pauses_for_it() -> None:
    """From the first step that begins after 1.2 s the first alone, at 0.1 s a step and one switch; then the other."""
    never = finished(run(0, 1e9))[0]
    first, second = finished(run(0, 1.2))
    left = int((never - 1.2) / 0.2)
    assert never - first == pytest.approx(left * 0.1 - 0.03)
    assert second - first == pytest.approx(left * 0.2 + 0.03)


def test_what_pauses_keeps_its_tokens_and_prefills_no_second_time() -> None:
    record = run(0, 1.2)
    assert record.requests["outcome"].to_pylist() == ["finished"] * 2
    assert record.requests["preemptions"].to_pylist() == [0, 0]


def test_kv_of_what_pauses_does_not_grow() -> None:
    made = simulation(Merge(0, 1.2), [(0.0, 0, 100, 400), (0.0, 1, 100, 5)])
    engine_run = made.run()
    made.cluster.check_bytes()
    assert engine_run.requests["outcome"].to_pylist() == ["finished"] * 2


def test_merged_equals_stepwise_with_pauses() -> None:
    rows: list[ROW] = [(0.37 * i + 0.0001, i % 3, 50 + 31 * i, 5 + 7 * i) for i in range(9)]
    records = [simulation(Merge(1, 0.9), rows, stepwise).run() for stepwise in (False, True)]
    for name in ("requests", "usage", "events"):
        merged, stepwise = (getattr(record, name).to_pandas() for record in records)
        assert_frame_equal(stepwise, merged, check_exact=True)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda at, waiting, functions: Dispatch(waiting, merge=functions[0]), "while the adapter of f0 is merged"),
        (lambda at, waiting, functions: Dispatch(waiting[:1], merge=functions[1]), "while the adapter of f1 is merged"),
        (lambda at, waiting, functions: Dispatch(waiting[:1], merge="f0"), "merges the adapter of f0, which"),
        (
            lambda at, waiting, functions: Wait() if at.merged else Dispatch(waiting[:1], merge=functions[0]),
            "admits nothing|where all requests pause|merged",
        ),
    ],
)
def test_a_merge_that_makes_no_sense_is_refused(answer: Any, message: str) -> None:
    made = simulation(Merge(0, 1e9))
    batching = made.policies["batching"]

    def next_batch(at: Any, ready: Any, view: Any) -> Any:
        waiting = list(ready.in_order())
        if at is None:
            return Dispatch(waiting[:1])
        return answer(at, waiting, view.functions)

    batching.next_batch = next_batch
    with pytest.raises(PolicyError, match=message):
        made.run()


def test_a_policy_that_forgets_what_pauses_is_told() -> None:
    made = simulation(Merge(0, 1e9))
    both = made.policies["batching"]
    usual = type(both).next_batch

    def next_batch(at: Any, ready: Any, view: Any) -> Any:
        if at is not None and at.merged is not None:
            return Wait()
        if at is not None and view.now_s > 1.0:
            return Dispatch((), merge=view.functions[0])
        return usual(both, at, ready, view)

    both.next_batch = next_batch
    with pytest.raises(PolicyError, match="where all requests pause for the adapter of f0"):
        made.run()
