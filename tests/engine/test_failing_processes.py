"""What becomes of requests whose process fails, or the backbone process that it maps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from simlora.actions import Dispatch
from simlora.cluster.failures import Failure
from simlora.testing.scenario import Scenario, make_functions, make_workload
from simlora.testing.steps import ConstantSteps

Make = Callable[..., Any]
STEPS = ConstantSteps(0.05, prefill_s=0.2)
READY_S = 9.472333
"""A first start of ServerlessLoRA, as in test_golden, there after a wait of 0.25 s."""
LOADED_S = 8.323774
"""Its backbone's load."""
US = 1e-6


# ---------------------------------------------------------------------------------------------- workers


def test_a_crash_while_starting_starts_anew(world: Make, column: Make, kinds: Make) -> None:
    record = world({"what": "worker", "at_s": 3.0, "during": "start"}).run()
    assert column(record, "outcome") == ["finished"]
    # The backbone process goes on loading what the first start had asked for: only that function's own stages again.
    (ready_s,) = column(record, "ready_s")
    assert 3.0 + 4.0 < ready_s < 3.0 + READY_S
    assert column(record, "bound_s") == [3.0]
    assert kinds(record, "instance_failed", "request_retried", "instance_stopped")[:3] == [
        ("instance_failed", 3.0),
        ("instance_stopped", 3.0),
        ("request_retried", 3.0),
    ]
    (why,) = {row["why"] for row in record.events.to_pylist() if row["kind"] == "instance_failed"}
    assert why == "its process crashed"


def test_a_crash_in_mid_batch_loses_its_tokens_and_the_request_starts_over(world: Make, column: Make) -> None:
    crash_s = READY_S + 0.4
    quiet = world().run()
    record = world({"what": "worker", "at_s": crash_s, "during": "batch"}).run()
    assert quiet.requests["first_token_s"][0].as_py() < crash_s < quiet.requests["finished_s"][0].as_py()
    assert column(record, "outcome") == ["finished"]
    assert column(record, "bound_s") == pytest.approx([crash_s], abs=US)
    assert column(record, "first_token_s")[0] > crash_s
    assert column(record, "finished_s")[0] == pytest.approx(column(record, "first_token_s")[0] + 9 * 0.05, abs=US)
    assert column(record, "instance") == [1]


def test_tokens_from_before_a_preemption_are_lost_too() -> None:
    scenario = Scenario(
        "vllm",
        make_functions("llama-2-7b"),
        make_workload([(1.0, 0, 100, 100), (2.0, 0, 100, 10)]),
        {},
        steps=lambda instance: STEPS,
        failures=[Failure(what="worker", at_s=2.3)],
    )
    simulation = scenario.simulation()
    policy = simulation.policies["batching"]
    admit = policy.next_batch

    def newest_first(at: Any, ready: Any, view: Any) -> Any:
        if at is None or view.now_s > 2.3 or not (at.running and at.bound):
            return admit(at, ready, view)
        return Dispatch(list(ready.in_order()), preempt=[r.request for r in at.running.values()])

    policy.next_batch = newest_first
    first = simulation.run().requests.to_pylist()[0]
    assert first["preemptions"] == 1
    assert first["finished_s"] - first["first_token_s"] >= 0.05 * 99 - US


def test_a_crash_meets_only_what_is_at_work_and_of_its_function(world: Make, kinds: Make) -> None:
    idle = {"what": "worker", "at_s": READY_S + 5.0}
    other = {"what": "worker", "at_s": 3.0, "function": "f1"}
    wrong = {"what": "worker", "at_s": 3.0, "during": "batch"}
    record = world(idle, other, wrong).run()
    assert kinds(record, "instance_failed") == []
    assert record.requests.equals(world().run().requests)


@pytest.mark.parametrize(
    ("on_failure", "retries", "outcome", "attempts"),
    [("retry", 0, "failed", 1), ("retry", 2, "failed", 3), ("reject", 3, "rejected", 1), ("fail", 3, "failed", 1)],
)
def test_the_system_says_what_becomes_of_the_requests(
    world: Make, column: Make, kinds: Make, on_failure: str, retries: int, outcome: str, attempts: int
) -> None:
    """Every attempt crashes two seconds after it began."""
    crashes = [{"what": "worker", "at_s": 2.0 * n} for n in range(1, 9)]
    keys = {"on_failure": on_failure, "limits.retries": retries}
    record = world(*crashes, **keys).run()
    assert column(record, "outcome") == [outcome]
    assert len(kinds(record, "instance_failed")) == attempts
    assert len(kinds(record, "request_retried")) == attempts - 1
    assert all(value != value for value in (*column(record, "started_s"), *column(record, "finished_s")))
    assert column(record, "instance") == [-1]


def test_a_failed_start_that_others_wait_for_counts_for_them_too(world: Make, column: Make, kinds: Make) -> None:
    """ServerlessLLM's router holds requests until an instance is ready: nothing is ever bound to those that crash."""
    often = world({"what": "worker", "rate_per_hour": 3_600.0})
    record = replace(often, system="serverless-llm", overrides={"limits.retries": 2}).run()
    assert column(record, "outcome") == ["failed"]
    assert len(kinds(record, "request_retried")) == 2


# ---------------------------------------------------------------------------------------------- backbones


def test_a_backbone_process_that_dies_takes_all_that_map_it_along(world: Make, column: Make, kinds: Make) -> None:
    rows = [(0.0, 0, 100, 10), (0.0, 1, 100, 10), (30.0, 0, 100, 10), (30.0, 1, 100, 10)]
    record = world({"what": "backbone", "at_s": 20.0}, rows=rows).run()
    assert kinds(record, "backbone_failed") == [("backbone_failed", 20.0)]
    assert len(kinds(record, "instance_failed")) == 2
    assert column(record, "cold") == [True] * 4
    assert len(kinds(record, "backbone_loaded")) == 2
    quiet = world(rows=rows).run()
    assert column(quiet, "cold") == [True, True, False, False]


def test_a_backbone_that_dies_while_it_loads_is_loaded_again(world: Make, column: Make, kinds: Make) -> None:
    record = world({"what": "backbone", "at_s": 6.0}, rows=[(0.0, 0, 100, 10), (0.0, 1, 100, 10)]).run()
    assert column(record, "outcome") == ["finished"] * 2
    (loaded,) = kinds(record, "backbone_loaded")
    assert loaded == ("backbone_loaded", 6.0 + LOADED_S)
