"""The rule: size within the tolerance whatever the draw, else the direction, else nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from simlora.claims.claim import Claim
from simlora.claims.verdict import DIRECTION, NOT, REPRODUCED, UNPUBLISHED, Draws, judged


def claim(**keys) -> Claim:
    blank = dict.fromkeys(("view", "where", "verdict", "why", "says", "unit", "over"), "")
    values = {"claim": "c", "folder": Path(), "source": "s", "metric": "m", "of": "a", "form": "value", "scenarios": ()}
    return Claim.model_validate({**blank, **values, "paper": 4.0, "tolerance": 0.25, "ours": None, **keys})


RATIO = {"form": "ratio", "over": "b"}


@pytest.mark.parametrize(
    ("keys", "values", "verdict"),
    [
        (RATIO, [4.1] * 8, REPRODUCED),
        (RATIO, [2.0, 2.1, 2.2, 2.3, 2.4, 2.5, 2.6, 2.7], DIRECTION),
        (RATIO, [13.0, 14.0, 13.5, 13.2, 13.6, 13.1, 13.9, 13.7], DIRECTION),
        (RATIO, [0.5, 0.6, 0.5, 0.4, 0.5, 0.6, 0.5, 0.5], NOT),
        (RATIO, [0.5, 6.0, 0.5, 7.0, 0.5, 6.0, 0.5, 7.0], NOT),
        ({**RATIO, "says": "more than", "paper": 1.0}, [1.2, 1.3, 1.2, 1.4, 1.3, 1.2], REPRODUCED),
        ({**RATIO, "says": "more than", "paper": 1.0}, [1.2, 0.7, 1.2, 0.8, 0.6, 1.2], NOT),
        ({}, [4.9] * 6, REPRODUCED),
        ({}, [5.1] * 6, NOT),
        ({"says": "at most"}, [0.1] * 6, REPRODUCED),
        ({"says": "at most"}, [6.0] * 6, NOT),
        ({"paper": None, "tolerance": None}, [4.0] * 6, UNPUBLISHED),
    ],
)
def test_what_is_called_what(keys, values, verdict):
    compared = np.array(values) if "form" in keys else None
    assert judged(claim(**keys), {"only": Draws(np.array(values), compared)}).verdict == verdict


def test_a_median_within_does_not_do_where_the_interval_is_wider():
    draws = np.array([2.0, 3.0, 3.0, 6.0, 6.0, 6.0])
    assert np.median(draws) == 4.5
    assert judged(claim(**RATIO), {"only": Draws(draws, draws)}).verdict == DIRECTION


def test_of_one_system_every_draw_must_be_within():
    assert judged(claim(), {"only": Draws(np.array([4.0] * 9 + [4.9]), None)}).verdict == REPRODUCED
    assert judged(claim(), {"only": Draws(np.array([4.0] * 9 + [5.1]), None)}).verdict == NOT
    assert judged(claim(), {"only": Draws(np.array([4.9]), None)}).verdict == REPRODUCED


def test_a_figure_above_is_a_direction_by_the_ratio():
    above = claim(form="above", over="b")
    found = {"s": Draws(np.full(8, 9.0), np.full(8, 1.5))}
    assert judged(above, found).verdict == DIRECTION
    assert judged(claim(form="below", over="b"), found).verdict == NOT


def test_of_several_scenarios_the_largest_counts():
    found = {"low": Draws(np.full(6, 1.5), np.full(6, 1.5)), "high": Draws(np.full(6, 4.2), np.full(6, 4.2))}
    one = judged(claim(**RATIO, says="up to"), found)
    assert (one.scenario, one.verdict) == ("high", REPRODUCED)
