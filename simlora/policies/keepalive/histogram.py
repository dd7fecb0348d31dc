"""The hybrid histogram's keep-alive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from simlora.entities import ArtifactKind
from simlora.policies.idle_times import IdleTimes
from simlora.policies.registry import register
from simlora.views import ClusterView, InstanceView


@register("keepalive", "hybrid-histogram")
@dataclass
class HybridHistogram(IdleTimes):
    """An idle instance goes at once if its function's next call is far, and else stays as long as one is probable.

    The preloading policy of the same name loads it again in time; rule and source are those of :class:`IdleTimes`.
    """

    def keep(self, instance: InstanceView, view: ClusterView) -> Sequence[tuple[str, float]]:
        window = self.window(instance.function or instance.backbone)
        until_s = view.now_s
        if window is None:
            until_s += self.bin_s * self.bins
        elif window.load_s <= view.now_s:
            until_s = max(window.keep_s, view.now_s)
        return ((ArtifactKind.CONTAINER, until_s),)
