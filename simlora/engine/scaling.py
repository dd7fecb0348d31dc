"""Scaling: proactive starts, asked on a grid of ticks and only for functions that have work.

Where one engine serves all functions of a backbone, the first of them stands for all.
"""

from __future__ import annotations

from math import floor, isfinite
from typing import TYPE_CHECKING

import simpy

from simlora.engine.checks import refuse
from simlora.entities import Function

if TYPE_CHECKING:
    from simlora.engine.engine import Engine


class Scaler:
    """Ticks at multiples of the policy's ``tick_s``, as a loop that runs all the time would."""

    def __init__(self, engine: Engine):
        self._engine = engine
        self._env = engine.env
        self._cluster = engine.cluster
        self._scaling = engine.policies["scaling"]
        self._tick_s: float = self._scaling.tick_s
        self._ticks_at_all = isfinite(self._tick_s)
        self._stands_for = self._representatives()
        self._active: dict[Function, None] = {}
        self._ticking = False
        self._ticks = 0

    def _representatives(self) -> dict[Function, Function]:
        functions = self._cluster.functions
        if not self._engine.estimates.one_for_all:
            return {function: function for function in functions}
        first = {function.backbone: function for function in reversed(functions)}
        return {function: first[function.backbone] for function in functions}

    def has_work(self, function: Function) -> None:
        """A request of the function has arrived."""
        if self._ticks_at_all:
            self._active[self._stands_for[function]] = None
            if not self._ticking:
                self._next()

    def _next(self) -> None:
        now_s = self._env.now
        self._ticks = max(self._ticks + 1, floor(now_s / self._tick_s) + 1)
        self._ticking = True
        self._env.timeout(max(0.0, self._ticks * self._tick_s - now_s)).callbacks.append(self._tick)

    def _tick(self, timer: simpy.Event) -> None:
        self._ticking = False
        for function in list(self._active) if self._cluster.gpus else ():
            desired = self._scaling.desired(function, self._cluster)
            if not isinstance(desired, int) or desired < 0:
                refuse(self._scaling, self._env.now, f"desires {desired!r} instances of {function.id}")
            for _ in range(desired - len(self._cluster.instances_of(function))):
                if not self._engine.starter.cold_start((), function, "scaling"):
                    break
            if not self._cluster.ongoing(function):
                del self._active[function]
        # With nothing else to come no later tick would find anything changed: let the run notice that it has stalled.
        if self._active and not self._env.exhausted:
            self._next()
