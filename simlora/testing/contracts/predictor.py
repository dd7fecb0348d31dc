"""What a predictor of output lengths may say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from simlora.entities import QueuedRequest
from simlora.testing.contracts.base import PolicyContract, unchanged
from simlora.testing.worlds import World


class PredictorContract(PolicyContract):
    """From one token to as many as the request may produce, the same whenever asked."""

    role = "predictor"

    def questions(self, policy: Any, world: World) -> Iterator[tuple[Any, Any]]:
        waiting = [*world.view.front.in_order(), *(r for queues in world.bound.values() for r in queues.in_order())]
        for request in waiting:
            yield request, unchanged(policy.output_tokens, request)

    def check(self, policy: Any, asked: QueuedRequest, answer: int, world: World) -> None:
        assert isinstance(answer, int), f"a number of tokens is an int (found {answer!r})"
        assert 1 <= answer <= asked.max_new_tokens, f"{answer} tokens of {asked}, which may produce 1 to its most"
