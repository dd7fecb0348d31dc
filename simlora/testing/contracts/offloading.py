"""What an offloading policy may say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from simlora.actions import Demand, Evict, EvictBackbone, Eviction, Stop
from simlora.testing.contracts.base import PolicyContract, is_free, unchanged
from simlora.testing.worlds import World


class OffloadingContract(PolicyContract):
    """Victims are idle, on the GPU that asks, not the one to keep, and named once; backbones leave only unmapped."""

    role = "offloading"

    def questions(self, policy: Any, world: World) -> Iterator[tuple[Any, Any]]:
        for gpu in world.view.gpus:
            for keep in (None, *sorted(gpu.instances.values(), key=lambda instance: instance.id)):
                for need_bytes in (1, 1_000_000_000, gpu.capacity_bytes // 2):
                    demand = Demand(need_bytes, gpu, keep)
                    yield demand, unchanged(policy.victims, demand, world.view)

    def check(self, policy: Any, asked: Demand, answer: Sequence[Eviction], world: World) -> None:
        touched: list[int] = []
        unmapped: dict[str, int] = {}
        for eviction in answer:
            assert isinstance(eviction, Stop | Evict | EvictBackbone), f"{eviction!r} makes no room"
            if isinstance(eviction, EvictBackbone):
                _check_backbone(eviction, asked, unmapped)
                continue
            instance = eviction.instance
            assert instance.id not in touched, f"names {instance} twice"
            touched.append(instance.id)
            assert is_free(instance), f"{instance} is not idle or has work bound"
            on_it = any(gpu is asked.gpu for gpu in instance.gpus)
            assert on_it, f"{instance} is on {instance.gpus}; what asks is on {asked.gpu}"
            assert asked.keep is None or instance.id != asked.keep.id, f"{instance} is the one that asks"
            if _leaves_backbone(eviction, world):
                unmapped[instance.backbone.name] = unmapped.get(instance.backbone.name, 0) + 1


def _check_backbone(eviction: EvictBackbone, asked: Demand, unmapped: dict[str, int]) -> None:
    """Everybody who maps the backbone has left by an eviction before this one."""
    name = eviction.backbone.name
    assert eviction.gpu is asked.gpu, f"{name} of {eviction.gpu}; what asks is on {asked.gpu}"
    left = eviction.gpu.backbones[eviction.backbone].mapped_by - unmapped.get(name, 0)
    assert left == 0, f"evicts {name} from {eviction.gpu}, where {left} still map it"


def _leaves_backbone(eviction: Stop | Evict, world: World) -> bool:
    """Whether the instance no longer maps its backbone afterwards."""
    instance, stages = eviction.instance, world.estimates.stages
    first = 0
    if isinstance(eviction, Evict):
        assert eviction.stage in instance.done, f'takes {instance} back to before "{eviction.stage}", not done yet'
        first = stages.index(eviction.stage)
    return "backbone" in instance.done and stages.index("backbone") >= first
