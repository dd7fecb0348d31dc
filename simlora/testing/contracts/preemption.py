"""What a preemption policy may say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from simlora.actions import Preempt
from simlora.testing.contracts.base import PolicyContract, unchanged
from simlora.testing.views import FrozenInstance
from simlora.testing.worlds import World


class PreemptionContract(PolicyContract):
    """Somebody of the running batch leaves, each named once."""

    role = "preemption"

    def questions(self, policy: Any, world: World) -> Iterator[tuple[Any, Any]]:
        for instance in world.view.instances.values():
            if instance.running:
                yield instance, unchanged(policy.preempt, instance, world.view)

    def check(self, policy: Any, asked: FrozenInstance, answer: Preempt, world: World) -> None:
        assert isinstance(answer, Preempt), f"an answer is a Preempt (found {answer!r})"
        leaving = [request.index for request in answer.victims]
        assert leaving, "nobody leaves, though the memory of all can't grow"
        assert len(leaving) == len(dict.fromkeys(leaving)), f"names a request twice: {leaving}"
        for index in leaving:
            assert index in asked.running, f"request {index} does not run on {asked}"
