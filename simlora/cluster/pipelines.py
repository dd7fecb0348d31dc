"""A pipeline: equal parts of a model on several nodes, one after the other in every step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import simpy

from simlora.entities import Artifact, ArtifactKind

if TYPE_CHECKING:
    from simlora.backends.base import Task
    from simlora.cluster.hardware import Gpu
    from simlora.cluster.processes import Instance


class Pipeline:
    """``main``, which serves and in the end has the whole model, and its ``helpers``, each of which runs a part.

    ``main`` has memory for all of the model and its KV from the start, a helper for its part of both. ``starts`` are
    the helpers' start-ups; ``gathering`` brings the rest of the model to ``main``, ``task`` being its load under way;
    it is ``gathered`` once all is there.
    """

    __slots__ = ("gathered", "gathering", "helpers", "main", "starts", "task")

    def __init__(self, main: Instance):
        self.main = main
        self.helpers: list[Instance] = []
        self.starts: list[simpy.Process] = []
        self.gathering: simpy.Process | None = None
        self.gathered = False
        self.task: Task | None = None

    @property
    def parts(self) -> int:
        return len(self.helpers) + 1

    @property
    def gpus(self) -> list[Gpu]:
        """Those on which a step runs, in turn."""
        return [instance.gpu for instance in (self.main, *self.helpers)]

    def part_of(self, instance: Instance) -> Artifact:
        """What one of its instances loads before it serves."""
        of, number = self.main.backbone, 1 + (self.main, *self.helpers).index(instance)
        size_bytes = -(-of.weights_bytes // self.parts)
        return Artifact(ArtifactKind.BACKBONE, f"{of.name}, part {number} of {self.parts}", size_bytes, of.name)

    @property
    def rest(self) -> Artifact:
        """What ``main`` then lacks."""
        of = self.main.backbone
        size_bytes = of.weights_bytes - -(-of.weights_bytes // self.parts)
        return Artifact(ArtifactKind.BACKBONE, f"{of.name}, all but part 1 of {self.parts}", size_bytes, of.name)

    # ------------------------------------------------------------------ KV

    @property
    def kv_room_bytes(self) -> int:
        """KV that is free for ``main``, its share being free with each helper."""
        elsewhere = min(helper.kv_bytes + helper.memory.free_bytes for helper in self.helpers) * self.parts
        return min(self.main.kv.free_bytes, elsewhere - self.main.kv_bytes)

    def share_kv(self) -> None:
        """What ``main`` holds has changed: so does every helper's share."""
        share_bytes = -(-self.main.kv_bytes // self.parts)
        for helper in self.helpers:
            if share_bytes > helper.kv_bytes:
                helper.memory.take(share_bytes - helper.kv_bytes)
            else:
                helper.memory.give(helper.kv_bytes - share_bytes)
            helper.kv_bytes = share_bytes

    def drop_kv(self) -> None:
        """The helpers' shares are free."""
        for helper in self.helpers:
            helper.memory.give(helper.kv_bytes)
            helper.kv_bytes = 0
