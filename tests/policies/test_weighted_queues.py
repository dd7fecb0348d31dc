"""Chameleon's rules: clusters of weights, who leaves the cache, and who goes ahead of one that waits for memory."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simlora.policies.adapters import ChameleonScore
from simlora.policies.clusters import cut_offs
from simlora.testing.scenario import ROW, Scenario, make_functions, make_workload
from simlora.testing.steps import ConstantSteps

LAW = settings(max_examples=200, deadline=None, derandomize=True)
STEPS = ConstantSteps(0.05)


@pytest.mark.parametrize(
    ("numbers", "cuts"),
    [
        ([0.1, 0.11, 0.12, 0.9, 0.91, 0.92], [0.51]),
        ([0.1] * 5 + [0.5] * 5 + [0.9] * 5, [0.3, 0.7]),
        ([0.4] * 9, []),
        ([0.4], []),
    ],
)
def test_numbers_that_lie_apart_are_parted_half_way(numbers: list[float], cuts: list[float]) -> None:
    assert cut_offs(numbers, 4, 0.95, 50) == pytest.approx(cuts)


def test_clusters_settle_in_as_many_rounds_as_they_may_take() -> None:
    numbers = [0.0] * 6 + [0.3, 0.5, 0.7, 1.0]
    assert cut_offs(numbers, 2, 0.99, 1) != cut_offs(numbers, 2, 0.99, 50)


@LAW
@given(numbers=st.lists(st.floats(0, 1), min_size=1, max_size=60), most=st.integers(1, 4))
def test_cuts_are_few_in_order_and_among_the_numbers(numbers: list[float], most: int) -> None:
    cuts = cut_offs(numbers, most, 0.9, 50)
    assert len(cuts) < most
    assert cuts == sorted(cuts)
    assert all(min(numbers) <= cut <= max(numbers) for cut in cuts)
    assert cuts == cut_offs(numbers[::-1], most, 0.9, 50)


def chameleon(rows: list[ROW], functions: int = 1, **keys: Any) -> Scenario:
    made = make_functions(*["llama-2-13b"] * functions)
    return Scenario("chameleon", made, make_workload(rows), keys, steps=lambda instance: STEPS)


def test_a_short_request_goes_ahead_of_one_that_waits_for_memory_longer_than_it_runs() -> None:
    """The pool holds about 19,000 tokens: the third long request waits, and behind it the short one does not."""
    rows = [(0.0, 0, 5000, 1200), (0.1, 0, 11000, 900), (5.0, 0, 6000, 1200), (6.0, 0, 400, 20), (6.1, 0, 400, 1500)]
    keys = {"predictor": {"policy": "clairvoyant-length", "accuracy": 1.0}}
    *_, third, short, long = chameleon(rows, **keys).run().requests.to_pylist()
    assert short["started_s"] < 7.0
    assert third["started_s"] > 30.0
    assert long["started_s"] >= third["started_s"]


def test_a_cache_keeps_what_s_lora_drops_until_kv_wants_its_room() -> None:
    calls = [(5.0 * i, i % 2, 100, 10) for i in range(6)]
    loads = {}
    for system in ("chameleon", "s-lora"):
        scenario = Scenario(system, make_functions(*["llama-2-7b"] * 2), make_workload(calls), steps=lambda i: STEPS)
        loads[system] = scenario.run().events["kind"].to_pylist().count("adapter_loaded")
    assert loads == {"chameleon": 2, "s-lora": 6}


class Asked:
    """A demand as an adapter policy sees it, and the view: two adapters are small, one is called for."""

    def __init__(self, needs: int, waiting: int | None) -> None:
        functions = make_functions(*["llama-2-7b"] * 3)
        self.at = type("At", (), {"queue": type("Queue", (), {"by_function": {}})})
        if waiting is not None:
            self.at.queue.by_function = {functions[waiting]: [None]}
        self.need_bytes, self.now_s = needs, 100.0
        self.idle = dict(zip(functions, (100, 10, 10), strict=True))

    def waiting(self, function: Any) -> int:
        return 0

    def rate_per_s(self, function: Any, now_s: float) -> float:
        return (0.0, 1.0, 0.1)[function.index]


@pytest.mark.parametrize(
    ("needs", "waiting", "leaving"),
    [(1, None, [2]), (11, None, [2, 0]), (1, 2, [0]), (120, 2, [0, 1, 2])],
)
def test_who_leaves_is_small_seldom_called_and_not_waited_for(
    needs: int, waiting: int | None, leaving: list[int]
) -> None:
    asked: Any = Asked(needs, waiting)
    policy = ChameleonScore()
    policy._forecast = asked
    assert [function.index for function in policy.leaving(asked, asked)] == leaving
