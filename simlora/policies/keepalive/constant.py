"""Keep-alive by a constant: some seconds, for ever, or not at all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from simlora.entities import ArtifactKind
from simlora.policies.registry import register
from simlora.views import ClusterView, InstanceView


@register("keepalive", "fixed")
@dataclass
class Fixed:
    """All stages for ``idle_s`` after the last batch, then the instance and its container end.

    Source: the rule of most platforms (OpenWhisk 600 s, AWS Lambda about 600 s, Azure 1,200 s); SwarmLoRA's default is
    60 s. ServerlessLoRA's own is not published.
    """

    idle_s: float = 60.0

    def __post_init__(self) -> None:
        if not self.idle_s >= 0:
            raise ValueError(f"idle_s must be 0 or more (found {self.idle_s})")

    def keep(self, instance: InstanceView, view: ClusterView) -> Sequence[tuple[str, float]]:
        return ((ArtifactKind.CONTAINER, view.now_s + self.idle_s),)


@register("keepalive", "forever")
@dataclass
class Forever:
    """Nothing ever ends by itself, as on reserved GPUs."""

    def keep(self, instance: InstanceView, view: ClusterView) -> Sequence[tuple[str, float]]:
        return ((ArtifactKind.CONTAINER, math.inf),)


@register("keepalive", "unless-reserved")
@dataclass
class UnlessReserved(Fixed):
    """For ever on a reserved GPU, where waiting costs nothing more; elsewhere as ``fixed``."""

    def keep(self, instance: InstanceView, view: ClusterView) -> Sequence[tuple[str, float]]:
        if instance.gpu.reserved:
            return ((ArtifactKind.CONTAINER, math.inf),)
        return super().keep(instance, view)


@register("keepalive", "none")
@dataclass
class NoKeepAlive:
    """An instance ends as soon as it is idle."""

    def keep(self, instance: InstanceView, view: ClusterView) -> Sequence[tuple[str, float]]:
        return ((ArtifactKind.CONTAINER, view.now_s),)
