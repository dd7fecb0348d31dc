"""What a placement policy may say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from simlora.actions import Placement
from simlora.entities import Backbone, Function
from simlora.policies.base import TellsWhere
from simlora.testing.contracts.base import PolicyContract, is_free, unchanged
from simlora.testing.worlds import World
from simlora.views import GpuView


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
            need_bytes = world.estimates.start_bytes(function, {}, gpu)
            assert need_bytes <= room_bytes(gpu), (
                f"placed {function.id} on {gpu}, where its start of {need_bytes} bytes does not fit even if all "
                f"that is idle leaves ({room_bytes(gpu)} bytes)"
            )
        if answer.pipeline:
            check_pipeline(answer, function, world)


def check_place(place: Placement, backbone: Backbone, world: World) -> None:
    """The GPUs are one of the view's places for the backbone; the container, if one is named, stands idle on them."""
    gpus, container = place.gpus, place.container
    assert all(any(gpu is one for one in world.view.gpus) for gpu in gpus), f"{gpus} are not GPUs of the view"
    places = [tuple(one.gpus) for one in world.view.places(backbone.tensor_parallel)]
    assert gpus in places, f"{gpus} is no place for {backbone.name} over {backbone.tensor_parallel} GPUs"
    if container is not None:
        assert container.id in world.view.idle_containers, f"{container} is not among the idle containers"
        assert tuple(container.gpus) == gpus, f"{container} is on {container.gpus}, not on {gpus}"


def check_pipeline(place: Placement, function: Function, world: World) -> None:
    """The model can be split; every part has a node of its own, a GPU of the same kind and room there, now or later."""
    gpus = (place.gpu, *place.pipeline)
    part_bytes = world.estimates.part_bytes(function, len(gpus))
    assert part_bytes is not None, f"{function.id} can't be split, yet is placed in a pipeline on {gpus}"
    assert len({gpu.node.index for gpu in gpus}) == len(gpus), f"{gpus}: two of a pipeline are on one node"
    for gpu in place.pipeline:
        assert any(gpu is one for one in world.view.gpus), f"{gpu} is not a GPU of the view"
        assert gpu.kind == place.gpu.kind, f"{gpu} is of another kind than {place.gpu}"
        assert part_bytes <= room_bytes(gpu), f"a part of {function.id} does not fit {gpu}"


def room_bytes(gpu: GpuView) -> int:
    """What would be free there once all that is idle has left."""
    held_bytes = sum(sum(i.done.values()) for i in gpu.instances.values() if is_free(i))
    return gpu.free_bytes + held_bytes + sum(b.bytes for b in gpu.backbones.values() if not b.in_use)
