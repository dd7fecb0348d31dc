"""Keep-alive up to the time at which holding a stage has cost as much as loading it again would."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from scipy.special import lambertw

from simlora.entities import Function
from simlora.errors import ConfigError
from simlora.policies.base import Forecast, PolicyContext
from simlora.policies.estimates import Estimates, Rates
from simlora.policies.registry import register
from simlora.views import ClusterView, InstanceView


class _Block(NamedTuple):
    """Stages that leave together, from ``stage`` on: what a second of holding them costs, and how long they load."""

    stage: str
    idle_usd_per_s: float
    load_s: float


@register("keepalive", "break-even")
@dataclass
class BreakEven:
    """Each stage stays for tau = P (price of loading it) / (price per second of holding it), at most ``max_s``.

    P = 1 - exp(-rate tau) is the probability that the next call comes in that time, by the forecast. Loading costs what
    the whole process does while it starts, holding what the stage's bytes do while they idle: for one stage of one
    process, tau is P x (active rate / idle rate) x seconds. If the rate is too low, no tau > 0 solves this and the
    stage leaves at once. A stage less worth its price than those after it takes them along.

    Source: the break-even of keep-alive and start-up under a price list with an idle rate (for Alibaba's 6 : 1, waiting
    pays while tau < 6 x start-up x P). Assumptions: calls are Poisson; a shared backbone is another's to keep; no more
    than ``max_s``, for what costs nothing to hold would stay for ever.
    """

    max_s: float = 3600.0
    _estimates: Estimates = field(init=False, repr=False, compare=False)
    _forecast: Forecast = field(init=False, repr=False, compare=False)
    _rates: Rates = field(init=False, repr=False, compare=False)
    _functions: Sequence[Function] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 0 < self.max_s < math.inf:
            raise ValueError(f"max_s must be a finite number, more than 0 (found {self.max_s})")

    def bind(self, context: PolicyContext) -> None:
        if context.rates is None:
            raise ConfigError('keep-alive "break-even" weighs prices: the system must name a list (price = "...")')
        self._estimates, self._forecast = context.estimates, context.forecast
        self._rates, self._functions = context.rates, context.functions

    def keep(self, instance: InstanceView, view: ClusterView) -> Sequence[tuple[str, float]]:
        function = instance.function
        served = [f for f in self._functions if f.backbone is instance.backbone] if function is None else [function]
        rate_per_s = sum(self._forecast.rate_per_s(f, view.now_s) for f in served)
        host_bytes = sum(self._estimates.stage_host_bytes(served[0], stage) for stage in instance.done)
        start_usd_per_s = self._rates.starting_usd_per_s(instance.gpu, sum(instance.done.values()), host_bytes)
        kept: list[tuple[str, float]] = []
        for block in self._blocks(instance, served[0]):
            stay_s = self._stay_s(block.load_s * start_usd_per_s, block.idle_usd_per_s, rate_per_s)
            kept.append((block.stage, view.now_s + stay_s))
        return kept

    def _blocks(self, instance: InstanceView, function: Function) -> list[_Block]:
        """From the first stage on, each block no longer worth holding than the one before it."""
        blocks: list[_Block] = []
        device_bytes = host_bytes = 0
        held_usd_per_s = 0.0
        for stage in self._estimates.stages:
            if stage not in instance.done:
                continue
            device_bytes += instance.done[stage]
            host_bytes += self._estimates.stage_host_bytes(function, stage)
            idle_usd_per_s = self._rates.idle_usd_per_s(instance.gpu, device_bytes, host_bytes)
            load_s = self._estimates.stage_s(function, stage, instance.gpu)
            block = _Block(stage, idle_usd_per_s - held_usd_per_s, load_s)
            held_usd_per_s = idle_usd_per_s
            while blocks and block.load_s * blocks[-1].idle_usd_per_s > blocks[-1].load_s * block.idle_usd_per_s:
                first = blocks.pop()
                block = _Block(first.stage, first.idle_usd_per_s + block.idle_usd_per_s, first.load_s + block.load_s)
            blocks.append(block)
        return blocks

    def _stay_s(self, load_usd: float, idle_usd_per_s: float, rate_per_s: float) -> float:
        """The largest t <= max_s that solves t = longest (1 - exp(-rate t)): longest (1 + W(-a e^-a) / a), a > 1."""
        longest_s = load_usd / idle_usd_per_s if idle_usd_per_s > 0 else math.inf
        calls = rate_per_s * longest_s
        if not calls > 1:
            return 0.0
        share = 1.0 + lambertw(-calls * math.exp(-calls)).real / calls if calls < math.inf else 1.0
        return min(float(longest_s * share), self.max_s)
