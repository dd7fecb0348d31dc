"""A memory gives no byte it does not have and takes none back that it did not give."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlora.cluster.hardware import CheckpointCache
from simlora.cluster.memory import AccountingError, Memory


@given(st.lists(st.integers(-60, 60), max_size=40))
def test_books_balance_after_any_series_of_takings_and_givings(changes: list[int]) -> None:
    memory, used = Memory("m", 100), 0
    for change in changes:
        if not 0 <= used + change <= 100:
            with pytest.raises(AccountingError):
                memory.take(change) if change > 0 else memory.give(-change)
        elif change >= 0:
            memory.take(change)
            used += change
        else:
            memory.give(-change)
            used += change
        assert (memory.used_bytes, memory.free_bytes) == (used, 100 - used)
        memory.check(used)


@pytest.mark.parametrize("size_bytes", [-1, 101])
def test_what_is_not_there_is_refused_and_changes_nothing(size_bytes: int) -> None:
    memory = Memory("GPU 3", 100)
    with pytest.raises(AccountingError, match="GPU 3"):
        memory.take(size_bytes)
    with pytest.raises(AccountingError, match="GPU 3"):
        memory.give(size_bytes)
    assert memory.used_bytes == 0


def test_freeing_twice_is_an_error() -> None:
    memory = Memory("m", 100)
    memory.take(60)
    memory.give(60)
    with pytest.raises(AccountingError):
        memory.give(60)


@pytest.mark.parametrize("held_bytes", [0, 59, 61])
def test_books_that_do_not_balance_are_found(held_bytes: int) -> None:
    memory = Memory("m", 100)
    memory.take(60)
    with pytest.raises(AccountingError, match=f"60 bytes in use, but {held_bytes} held"):
        memory.check(held_bytes)


def test_a_cache_keeps_what_was_used_last() -> None:
    cache = CheckpointCache(Memory("cache", 100))
    for name, size_bytes in (("a", 40), ("b", 40), ("a", 40), ("c", 50)):
        cache.use(name, size_bytes)
    assert ("a" in cache, "b" in cache, "c" in cache) == (True, False, True)
    assert cache.memory.used_bytes == 90


def test_a_cache_leaves_out_what_is_larger_than_itself() -> None:
    cache = CheckpointCache(Memory("cache", 100))
    cache.use("a", 60)
    cache.use("huge", 101)
    assert ("a" in cache, "huge" in cache) == (True, False)
