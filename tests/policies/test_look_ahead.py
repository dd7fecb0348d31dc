"""Memory look-ahead: the most that a batch will ever want is what walking through its steps finds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simlora.policies.batching.look_ahead import Ahead
from simlora.testing.scenario import Scenario, make_functions, make_workload
from simlora.testing.steps import ConstantSteps

REQUESTS = st.lists(st.tuples(st.integers(1, 500), st.integers(0, 300)), min_size=1, max_size=8)


def most_walked(requests: list[tuple[int, int]]) -> int:
    """Tokens held at the fullest step: each grows by one a step until it ends, holding its last until then."""
    steps = range(max(left for _, left in requests) + 1)
    return max(sum(held + step for held, left in requests if left >= step) for step in steps)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(requests=REQUESTS)
def test_the_most_is_what_walking_through_the_steps_finds(requests: list[tuple[int, int]]) -> None:
    ahead = Ahead()
    *first, last = requests
    for request in first:
        ahead.add(*request)
    assert ahead.most_with(*last) == most_walked(requests)


def s_lora(rows: list[tuple[float, int, int, int]], functions: int = 1, **keys: Any) -> Scenario:
    clock = ConstantSteps(0.05)
    made, workload = make_functions(*["llama-2-7b"] * functions), make_workload(rows)
    stated = replace(workload, max_new_tokens=workload.output_tokens)
    return Scenario("s-lora", made, stated, keys, steps=lambda instance: clock)


LOAD_S = 0.0045 + 16_777_216 / 24e9
"""From host memory over the bus of an L40S."""


def test_newcomers_wait_for_the_next_tenth_step_and_stop_decoding_while_they_prefill() -> None:
    first, second = s_lora([(0.0, 0, 100, 100), (1.08, 0, 100, 10)]).run().requests.to_pylist()
    began_s = first["started_s"]
    assert second["started_s"] == pytest.approx(began_s + 0.05 + 0.05 * 30)
    assert second["finished_s"] == pytest.approx(second["started_s"] + 10 * 0.05)
    assert first["finished_s"] == pytest.approx(began_s + 101 * 0.05)


@pytest.mark.parametrize(("steps", "waits_s"), [([], LOAD_S), ([5, 7], 0.0)])
def test_prefetching_hides_the_load_of_who_joins_next(steps: list[int], waits_s: float) -> None:
    keys = {"batching": {"policy": "memory-look-ahead", "prefetch_steps": steps}}
    first, second = s_lora([(0.0, 0, 100, 100), (1.08, 1, 100, 10)], functions=2, **keys).run().requests.to_pylist()
    joined_s = first["started_s"] + 0.05 + 0.05 * 30
    assert second["started_s"] - joined_s == pytest.approx(waits_s, abs=1e-3 if waits_s else 1e-9)


def test_nobody_is_ever_preempted_where_lengths_are_known() -> None:
    rows = [(0.05 * i, i % 7, 700 + 31 * i % 900, 400 + 53 * i % 1500) for i in range(120)]
    record = s_lora(rows, functions=7).run()
    assert record.requests["outcome"].to_pylist() == ["finished"] * 120
    assert sum(record.requests["preemptions"].to_pylist()) == 0
    most = max(record.requests["batch"].to_pylist())
    assert 10 < most < 120
