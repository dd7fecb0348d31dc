"""The least of many by a key, where few keys change between questions (design law 9)."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import Any

SPARE = 4
"""A heap of so many entries an item, the most of them out of date, is made anew."""


class Ranking:
    """Items by number, each with a key; keys may be of any kind that compares. Equal keys go by number."""

    __slots__ = ("_heap", "_keys")

    def __init__(self) -> None:
        self._keys: dict[int, Any] = {}
        self._heap: list[tuple[Any, int]] = []

    def put(self, item: int, key: Any) -> None:
        """Its key is this from now on."""
        if self._keys.get(item) != key:
            self._keys[item] = key
            heappush(self._heap, (key, item))
            if len(self._heap) > SPARE * len(self._keys):
                self._heap = [(key, item) for item, key in self._keys.items()]
                heapify(self._heap)

    def drop(self, item: int) -> None:
        """It is out of the question, if it was not before."""
        self._keys.pop(item, None)

    def first(self) -> int | None:
        """The item with the least key; ``None`` if there is none."""
        heap, keys = self._heap, self._keys
        while heap:
            key, item = heap[0]
            if keys.get(item) == key:
                return item
            heappop(heap)
        return None
