"""Admission of a formed batch to an empty instance: request-level execution, in order, as far as memory goes."""

from __future__ import annotations

from collections.abc import Callable

from simlora.actions import Dispatch, Wait
from simlora.entities import QueuedRequest
from simlora.views import InstanceView, ReadyQueues

WAIT = Wait()


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
