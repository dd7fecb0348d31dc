"""What a keep-alive policy may say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from simlora.testing.contracts.base import PolicyContract, is_free
from simlora.testing.worlds import World


class KeepAliveContract(PolicyContract):
    """Each stage named exists, once, and ends now or later."""

    role = "keepalive"

    def questions(self, policy: Any, world: World) -> Iterator[tuple[Any, Any]]:
        for instance in world.view.instances.values():
            if is_free(instance):
                yield instance, policy.keep(instance, world.view)

    def check(self, policy: Any, asked: Any, answer: Sequence[tuple[str, float]], world: World) -> None:
        stages = [stage for stage, _ in answer]
        assert len(stages) == len(dict.fromkeys(stages)), f"names a stage twice: {stages}"
        for stage, until_s in answer:
            allowed = ", ".join(world.estimates.stages)
            assert stage in world.estimates.stages, f'no stage "{stage}"; the stages are {allowed}'
            assert until_s >= world.view.now_s, f"{stage} ends at {until_s} s, before now, {world.view.now_s} s"
