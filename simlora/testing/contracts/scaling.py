"""What a scaling policy may say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from simlora.testing.contracts.base import PolicyContract
from simlora.testing.worlds import World


class ScalingContract(PolicyContract):
    """A number of instances, zero or more; its tick takes time."""

    role = "scaling"

    def questions(self, policy: Any, world: World) -> Iterator[tuple[Any, Any]]:
        for function in world.view.functions:
            yield function, policy.desired(function, world.view)

    def check(self, policy: Any, asked: Any, answer: int, world: World) -> None:
        assert isinstance(answer, int), f"a number of instances is an int (found {answer!r})"
        assert answer >= 0, f"wants {answer} instances of {asked.id}"
        assert policy.tick_s > 0, f"tick_s must be more than 0 (found {policy.tick_s})"
