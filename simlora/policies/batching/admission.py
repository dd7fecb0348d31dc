"""Admission of a formed batch to an empty instance: request-level execution, in order, as far as memory goes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from simlora.actions import Dispatch, Wait
from simlora.entities import Function, QueuedRequest
from simlora.views import InstanceView, ReadyQueues

WAIT = Wait()


class OfOne:
    """The requests of one function that wait: implements :class:`simlora.views.ReadyQueues`."""

    def __init__(self, function: Function, queue: deque[QueuedRequest] | None):
        self.by_function = {function: queue} if queue else {}

    def in_order(self) -> Iterator[QueuedRequest]:
        return (request for queue in self.by_function.values() for request in queue)

    def __len__(self) -> int:
        return sum(map(len, self.by_function.values()))


def steps_since_try(at: InstanceView, every: int) -> int:
    """Decode steps since newcomers were last tried, where that is every so many: whoever decodes joined at a try, and
    has one token from its prefill.
    """
    for running in at.running.values():
        if not running.prefill_left:
            return (running.context_tokens - running.request.prompt_tokens - 1) % every
    return 0


def admit_to_empty(
    at: InstanceView, ready: ReadyQueues, size: int, request_bytes: Callable[[QueuedRequest], int]
) -> Dispatch | Wait:
    """Up to ``size`` of the bound requests, oldest first, until one does not fit; none while a batch runs."""
    if at.running:
        return WAIT
    room_bytes = at.kv_free_bytes
    admitted: list[QueuedRequest] = []
    for request in ready.in_order():
        room_bytes -= request_bytes(request)
        if room_bytes < 0:
            break
        admitted.append(request)
        if len(admitted) == size:
            break
    return Dispatch(admitted) if admitted else WAIT
