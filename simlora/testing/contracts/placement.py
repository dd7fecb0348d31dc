"""What a placement policy may say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from simlora.actions import Placement
from simlora.entities import Backbone
from simlora.policies.base import TellsWhere
from simlora.testing.contracts.base import PolicyContract, is_free, unchanged
from simlora.testing.worlds import World


class PlacementContract(PolicyContract):
    """A place is one of those offered, its container idle and on it, and the start fits once what is idle has left.

    A policy that tells which GPUs it could use names no other.
    """

    role = "placement"

    def questions(self, policy: Any, world: World) -> Iterator[tuple[Any, Any]]:
        for function in world.view.functions:
            places = tuple(world.view.places(function.backbone.tensor_parallel))
            for offered in (places, places[::2], places[1::2]):
                if offered:
                    yield (function, offered), unchanged(policy.place, function, offered, world.view)

    def check(self, policy: Any, asked: Any, answer: Placement | None, world: World) -> None:
        if answer is None:
            return
        assert isinstance(answer, Placement), f"a place is a Placement or None (found {answer!r})"
        function, offered = asked
        check_place(answer, function.backbone, world)
        assert any(answer.gpus == tuple(place.gpus) for place in offered), f"{answer.gpus} are none of {offered}"
        if isinstance(policy, TellsWhere):
            unusable = [gpu for gpu in answer.gpus if not policy.could_use(function, gpu)]
            assert not unusable, f"placed {function.id} on {unusable}, of which could_use says no"
        for gpu in answer.gpus:
            room_bytes = gpu.free_bytes + sum(sum(i.done.values()) for i in gpu.instances.values() if is_free(i))
            room_bytes += sum(b.bytes for b in gpu.backbones.values() if not b.in_use)
            need_bytes = world.estimates.start_bytes(function, {}, gpu)
            assert need_bytes <= room_bytes, (
                f"placed {function.id} on {gpu}, where its start of {need_bytes} bytes does not fit even if all "
                f"that is idle leaves ({room_bytes} bytes)"
            )


def check_place(place: Placement, backbone: Backbone, world: World) -> None:
    """The GPUs are one of the view's places for the backbone; the container, if one is named, stands idle on them;
    who helps to fetch is another node, once each."""
    gpus, container = place.gpus, place.container
    assert all(any(gpu is one for one in world.view.gpus) for gpu in gpus), f"{gpus} are not GPUs of the view"
    places = [tuple(one.gpus) for one in world.view.places(backbone.tensor_parallel)]
    assert gpus in places, f"{gpus} is no place for {backbone.name} over {backbone.tensor_parallel} GPUs"
    helpers = [node.index for node in place.through]
    assert len({place.gpu.node.index, *helpers}) == len(helpers) + 1, (
        f"fetches through {helpers}: once each, others only"
    )
    if container is not None:
        assert container.id in world.view.idle_containers, f"{container} is not among the idle containers"
        assert tuple(container.gpus) == gpus, f"{container} is on {container.gpus}, not on {gpus}"
