"""What an adapter policy may say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from simlora.actions import AdapterDemand
from simlora.entities import Function
from simlora.testing.contracts.base import PolicyContract, unchanged
from simlora.testing.worlds import World
from simlora.views import pinned_adapters


class AdaptersContract(PolicyContract):
    """Who leaves is neither in use nor on its way and is named once, and together they free what is needed."""

    role = "adapters"

    def questions(self, policy: Any, world: World) -> Iterator[tuple[Any, Any]]:
        for instance in world.view.instances.values():
            pinned = pinned_adapters(instance)
            idle = {function: function.adapter_shard_bytes for function in instance.adapters if function not in pinned}
            for need_bytes in dict.fromkeys((0, 1, sum(idle.values()))):
                if idle and (need_bytes or policy.when_unused):
                    demand = AdapterDemand(instance, need_bytes, idle)
                    yield demand, unchanged(policy.leaving, demand, world.view)

    def check(self, policy: Any, asked: AdapterDemand, answer: Sequence[Function], world: World) -> None:
        assert isinstance(policy.when_unused, bool), f"when_unused must be a bool (found {policy.when_unused!r})"
        names = [function.id for function in answer]
        assert len(names) == len(dict.fromkeys(names)), f"names an adapter twice: {names}"
        for function in answer:
            assert function in asked.idle, f"names the adapter of {function.id}, which may not leave {asked.at}"
        freed_bytes = sum(asked.idle[function] for function in answer)
        assert freed_bytes >= asked.need_bytes, f"frees {freed_bytes} bytes where {asked.need_bytes} are needed"
