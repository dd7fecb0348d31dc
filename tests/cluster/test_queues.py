"""Queues keep the order of arrival, within a function and over all of them."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlora.cluster.queues import Queues
from simlora.entities import QueuedRequest
from simlora.testing.scenario import make_functions

FUNCTIONS = make_functions("llama-2-7b", "llama-2-7b", "llama-2-7b")


def request(index: int) -> QueuedRequest:
    return QueuedRequest(index, FUNCTIONS[index % 3], float(index), 10, 10)


@given(indices=st.lists(st.integers(0, 60), unique=True), seed=st.integers(0, 99))
def test_whatever_comes_and_goes_the_rest_is_in_order(indices: list[int], seed: int) -> None:
    queues, there = Queues(), dict[int, QueuedRequest]()
    rng = random.Random(seed)
    for index in indices:
        there[index] = request(index)
        queues.push(there[index])
        if rng.random() < 0.4:
            queues.remove(there.pop(rng.choice(sorted(there))))
        assert [r.index for r in queues.in_order()] == sorted(there)
        assert len(queues) == len(there)
        assert all(queues.by_function.values())
        assert all(r.function is f for f, queue in queues.by_function.items() for r in queue)


def test_all_of_a_function_move_together_to_their_places() -> None:
    queues, other = Queues(), Queues()
    for index in (0, 1, 3, 9):
        queues.push(request(index))
    for index in (4, 6):
        other.push(request(index))
    queues.move_to(other, FUNCTIONS[0])
    queues.move_to(other, FUNCTIONS[2])
    assert [r.index for r in queues.in_order()] == [1]
    assert [r.index for r in other.in_order()] == [0, 3, 4, 6, 9]
    assert [r.index for r in other.by_function[FUNCTIONS[0]]] == [0, 3, 6, 9]
    assert (len(queues), len(other)) == (1, 5)


def test_what_does_not_wait_cannot_leave() -> None:
    queues = Queues()
    queues.push(request(0))
    with pytest.raises(ValueError, match="not in deque"):
        queues.remove(request(3))
    with pytest.raises((KeyError, ValueError)):
        queues.remove(request(1))
