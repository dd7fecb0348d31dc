"""What a batching policy may say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from simlora.actions import Dispatch, Wait
from simlora.testing.contracts.base import PolicyContract, unchanged
from simlora.testing.views import FrozenInstance, FrozenQueues
from simlora.testing.worlds import World
from simlora.views import pinned_adapters


class BatchingContract(PolicyContract):
    """A batch holds requests that wait, each once, of one function before it is bound, and no more than fits.

    A wait ends in the future, and work at the front end is never left without a time to look again.
    """

    role = "batching"

    def questions(self, policy: Any, world: World) -> Iterator[tuple[Any, Any]]:
        front = world.view.front
        if len(front):
            yield (None, front), unchanged(policy.next_batch, None, front, world.view)
        for instance in world.view.instances.values():
            if instance.ready:
                ready = world.bound[instance.id]
                yield (instance, ready), policy.next_batch(instance, ready, world.view)

    def check(self, policy: Any, asked: Any, answer: Dispatch | Wait, world: World) -> None:
        at, ready = asked
        assert isinstance(answer, Dispatch | Wait), f"an answer is a Dispatch or a Wait (found {answer!r})"
        if isinstance(answer, Wait):
            _check_wait(answer, at, world.view.now_s)
            return
        _check_waiting(answer, ready)
        for key in ("chunk_tokens", "ask_again_after_steps"):
            value = getattr(answer, key)
            assert value is None or value > 0, f"{key} must be at least 1 (found {value})"
        if at is None:
            _check_formed(answer)
        else:
            _check_joins(answer, at, world)


def _check_wait(answer: Wait, at: FrozenInstance | None, now_s: float) -> None:
    until_s = answer.until_s
    assert until_s is not None or at is not None, "requests wait at the front end, and Wait() says no time to look"
    assert until_s is None or until_s > now_s, f"waits until {until_s} s, which is not after now, {now_s} s"


def _check_waiting(answer: Dispatch, ready: FrozenQueues) -> None:
    waiting = {request.index for request in ready.in_order()}
    admitted = [request.index for request in answer.admit]
    assert len(admitted) == len(dict.fromkeys(admitted)), f"admits a request twice: {admitted}"
    assert waiting.issuperset(admitted), f"admits requests that do not wait here: {admitted} of {sorted(waiting)}"


def _check_formed(answer: Dispatch) -> None:
    """A batch that is not bound to an instance yet."""
    assert answer.admit, "dispatches an empty batch; Wait says that there is nothing to do"
    assert not answer.preempt, "preempts at the front end, where nothing runs"
    functions = list(dict.fromkeys(request.function.id for request in answer.admit))
    assert len(functions) == 1, f"one batch holds requests of several functions: {functions}"


def _check_joins(answer: Dispatch, at: FrozenInstance, world: World) -> None:
    """A change of a running batch."""
    for request in answer.preempt:
        assert request.index in at.running, f"preempts {request}, which does not run on {at}"
    if not answer.admit:
        return
    need_bytes = sum(map(world.estimates.request_bytes, answer.admit))
    pinned = pinned_adapters(at)
    new = dict.fromkeys(request.function for request in answer.admit if request.function not in pinned)
    if at.function is None:
        need_bytes += sum(map(world.estimates.pool_adapter_bytes, new))
    assert need_bytes <= at.kv_free_bytes, f"admits {need_bytes} bytes to {at}, which has {at.kv_free_bytes} free"
    if at.function is None:
        users = len(pinned) + len(new)
        assert users <= at.adapter_slots, f"{users} adapters at once on {at}, which holds {at.adapter_slots}"
