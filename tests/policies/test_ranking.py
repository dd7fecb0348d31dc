"""The least of many, kept while keys change."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from simlora.policies.ranking import Ranking

CHANGES = st.lists(st.tuples(st.integers(0, 4), st.none() | st.integers(0, 3)), max_size=60)


@given(changes=CHANGES)
def test_first_is_the_least_of_what_is_there(changes: list[tuple[int, int | None]]) -> None:
    ranking, keys = Ranking(), dict[int, int]()
    for item, key in changes:
        if key is None:
            ranking.drop(item)
            keys.pop(item, None)
        else:
            ranking.put(item, key)
            keys[item] = key
        assert ranking.first() == min(keys, key=lambda one: (keys[one], one), default=None)


def test_what_is_out_of_date_does_not_pile_up() -> None:
    ranking = Ranking()
    for key in range(1_000):
        ranking.put(0, -key)
        ranking.put(1, key)
    assert len(ranking._heap) <= 8
    assert ranking.first() == 0
