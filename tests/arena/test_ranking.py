"""Ranks, differences and what all scenarios say together, on tables worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from simlora.arena.ranking import OVERALL, over_all, rank

SEEDS = range(8)


def row(scenario: str, policy: str, seed: int, ttft_s: float, cost_usd: float = 1.0, finished: int = 10) -> Any:
    figures = {"ttft_mean_s": ttft_s, "cost_usd": cost_usd, "cost_effectiveness": 1.0 / cost_usd, "slo_attainment": 0.5}
    return {
        "scenario": scenario, "system": policy, "seed": seed, **figures, "requests": 10, "finished": finished,
    }  # fmt: skip


def rows(ttft_s: dict[str, float], scenario: str = "light") -> list[Any]:
    """Each policy a fixed distance from a level that differs from seed to seed."""
    return [row(scenario, policy, seed, seed + value) for policy, value in ttft_s.items() for seed in SEEDS]


def test_policies_stand_in_the_order_of_their_means() -> None:
    found = [one for one in rank(rows({"b": 2.0, "a": 1.0, "mine": 1.5}), "mine", "ttft") if one.scenario == "light"]
    assert [(one.rank, one.policy) for one in found] == [(1, "a"), (2, "mine"), (3, "b")]
    assert found[0].figures["ttft_mean_s"].estimate == pytest.approx(3.5 + 1.0)


def test_the_difference_is_to_the_best_registered_policy_and_paired_over_seeds() -> None:
    mine, a, b = rank(rows({"a": 1.0, "b": 2.0, "mine": 0.5}), "mine", "ttft")[:3]
    assert (mine.policy, a.difference) == ("mine", None)
    assert mine.difference is not None
    assert mine.difference.estimate == pytest.approx(-0.5)
    assert mine.is_real, "though the seeds differ far more than the policies"
    assert b.difference is not None
    assert b.difference.estimate == pytest.approx(1.0)


def test_a_reference_is_ranked_and_nobody_s_rival() -> None:
    found = rank(rows({"seer": 0.1, "a": 1.0, "b": 2.0, "mine": 1.5}), "mine", "ttft", ["seer"])[:4]
    assert [one.policy for one in found] == ["seer", "a", "mine", "b"]
    assert found[1].difference is None
    assert found[0].difference is not None
    assert found[0].difference.estimate == pytest.approx(-0.9)


def test_too_few_seeds_make_no_difference_real() -> None:
    few = [one for one in rows({"a": 1.0, "mine": 0.5}) if one["seed"] < 5]
    assert not any(one.is_real for one in rank(few, "mine", "ttft"))


def test_more_is_better_where_it_is() -> None:
    cheap, dear = row("light", "cheap", 0, 2.0, cost_usd=1.0), row("light", "dear", 0, 1.0, cost_usd=3.0)
    for by, first in (("cost", "cheap"), ("cost-effectiveness", "cheap"), ("ttft", "dear")):
        assert rank([dear, cheap], "mine", by)[0].policy == first, by


def test_the_share_of_the_gap_is_from_the_worst_registered_policy_to_the_bound() -> None:
    *ranked, bound, _, _, _, _ = rank(rows({"a": 2.0, "b": 5.0, "mine": 3.0, "bound": 1.0}), "mine", "ttft")
    assert (bound.policy, bound.rank, bound.gap, bound.difference) == ("bound", 0, None, None)
    assert [(one.policy, one.gap and one.gap.estimate) for one in ranked] == [
        ("a", pytest.approx(0.75)), ("mine", pytest.approx(0.5)), ("b", pytest.approx(0.0)),
    ]  # fmt: skip


def test_who_loses_requests_comes_after_who_does_not() -> None:
    quick, slow = row("light", "quick", 0, 0.1, finished=9), row("light", "slow", 0, 5.0)
    assert [one.policy for one in rank([quick, slow], "mine", "ttft")[:2]] == ["slow", "quick"]


def test_all_together_is_a_geometric_mean_of_those_that_ran_everywhere() -> None:
    both = [row("light", "a", 0, 1.0, 2.0), row("heavy", "a", 0, 4.0, 8.0), row("light", "b", 0, 1.0)]
    [together] = over_all(both)
    assert together["system"] == "a"
    assert together["ttft_mean_s"] == pytest.approx(2.0)
    assert together["cost_usd"] == pytest.approx(10.0)
    assert together["cost_effectiveness"] == pytest.approx(0.25)
    assert [one.policy for one in rank(both, "mine", "ttft") if one.scenario == OVERALL] == ["a"]


def test_a_scenario_s_scale_outweighs_no_other() -> None:
    scenarios = {"light": {"a": 0.1, "b": 0.2}, "heavy": {"a": 101.0, "b": 100.0}}
    found = [row(where, policy, 0, value) for where, own in scenarios.items() for policy, value in own.items()]
    assert rank(found, "mine", "ttft")[-2].policy == "a"
