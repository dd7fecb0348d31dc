"""RainbowCake's keep-alive: an idle instance is taken back layer by layer, each kept by the calls of all it serves."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from simlora.entities import ArtifactKind, Backbone, Function
from simlora.policies.base import PolicyContext
from simlora.policies.registry import register
from simlora.views import ClusterView, InstanceView

EVERYBODY = None
HISTORY_S = 86_400.0


@register("keepalive", "rainbowcake")
@dataclass
class RainbowCake:
    """Three layers leave one after the other, each once the next call has come with probability ``quantile``.

    Calls are taken as Poisson with a mean gap of (now - oldest) / calls over the last ``calls`` of a day, and the
    quantile -ln(1 - ``quantile``) x gap is kept within [``min_s``, ``max_s``]; without a call it is ``max_s``. The user
    layer (adapter, kernels, first run) counts the calls of the function, the middle one (context, backbone) those of
    all functions of the backbone, the bare one (container, libraries) all calls.

    Source: RainbowCake (ASPLOS'24) and its code (github.com/IntelliSys-Lab/RainbowCake-ASPLOS24 6acd057, Apache-2.0):
    0.8, 60 s to 600 s, 6 calls, one day. Assumption: a backbone takes the place of a language runtime. An instance's
    layers serve its own function again; what it maps of a shared backbone serves others as well. Its pre-warming is
    left out.
    """

    quantile: float = 0.8
    min_s: float = 60.0
    max_s: float = 600.0
    calls: int = 6
    _stages: Sequence[str] = field(init=False, repr=False, compare=False, default=())
    _called_s: dict[Function | Backbone | None, deque[float]] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    def __post_init__(self) -> None:
        if not 0 < self.quantile < 1:
            raise ValueError(f"quantile must be between 0 and 1 (found {self.quantile})")
        if not 0 <= self.min_s <= self.max_s < math.inf:
            raise ValueError(f"0 <= min_s <= max_s < inf must hold (found {self.min_s} and {self.max_s})")
        if self.calls < 1:
            raise ValueError(f"calls must be at least 1 (found {self.calls})")

    def bind(self, context: PolicyContext) -> None:
        self._stages = context.estimates.stages

    def observe_arrival(self, function: Function, at_s: float) -> None:
        for served in (function, function.backbone, EVERYBODY):
            self._called_s.setdefault(served, deque(maxlen=self.calls)).append(at_s)

    def keep(self, instance: InstanceView, view: ClusterView) -> Sequence[tuple[str, float]]:
        until_s = view.now_s
        kept: list[tuple[str, float]] = []
        for stage, served in (
            (ArtifactKind.ADAPTER, instance.function or instance.backbone),
            (ArtifactKind.CONTEXT, instance.backbone),
            (ArtifactKind.CONTAINER, EVERYBODY),
        ):
            if stage in self._stages:
                until_s += self._stay_s(served, view.now_s)
                kept.append((stage, until_s))
        return kept

    def _stay_s(self, served: Function | Backbone | None, now_s: float) -> float:
        calls = [at_s for at_s in self._called_s.get(served, ()) if now_s - at_s < HISTORY_S]
        if not calls or now_s <= calls[0]:
            return self.max_s
        gap_s = (now_s - calls[0]) / len(calls)
        return min(max(-math.log1p(-self.quantile) * gap_s, self.min_s), self.max_s)
