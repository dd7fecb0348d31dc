"""Requests that wait, by function, in the order of their arrival."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from heapq import merge

from simlora.entities import Function, QueuedRequest


def _index(request: QueuedRequest) -> int:
    return request.index


class Queues:
    """Implements :class:`simlora.views.ReadyQueues`; only functions with at least one request appear."""

    __slots__ = ("_count", "by_function")

    def __init__(self) -> None:
        self.by_function: dict[Function, deque[QueuedRequest]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def push(self, request: QueuedRequest) -> None:
        """At its place by arrival, which for a new request is the end."""
        queue = self.by_function.get(request.function)
        if queue is None:
            self.by_function[request.function] = deque((request,))
        elif queue[-1].index < request.index:
            queue.append(request)
        else:
            self.by_function[request.function] = deque(sorted((*queue, request), key=_index))
        self._count += 1

    def remove(self, request: QueuedRequest) -> None:
        """Raises :class:`ValueError` if it does not wait here."""
        queue = self.by_function[request.function]
        if queue[0] is request:
            queue.popleft()
        else:
            queue.remove(request)
        self._count -= 1
        if not queue:
            del self.by_function[request.function]

    def move_to(self, other: Queues, function: Function) -> None:
        """All requests of one function go to ``other``."""
        moved = self.by_function.pop(function, None)
        if moved is None:
            return
        self._count -= len(moved)
        waiting = other.by_function.get(function)
        if waiting is None:
            other.by_function[function] = moved
        else:
            other.by_function[function] = deque(merge(waiting, moved, key=_index))
        other._count += len(moved)

    def in_order(self) -> Iterator[QueuedRequest]:
        queues = self.by_function.values()
        if len(queues) == 1:
            (only,) = queues
            return iter(only)
        return merge(*queues, key=_index)
