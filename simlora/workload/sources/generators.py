"""Synthetic sources: their keys, all per function, and the rate that ``rate_scale`` multiplies."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from pydantic import Field

from simlora.workload.sources.base import Arrivals, SourceOptions, Window
from simlora.workload.synthetic import gamma_arrivals, on_off_arrivals, poisson_arrivals
from simlora.workload.workload import Floats, stream


def _each(window: Window, draw: Callable[[np.random.Generator], Floats], what: str) -> Arrivals:
    arrivals = [draw(stream(window.seed, "arrivals", row)) for row in range(len(window.functions))]
    return Arrivals(arrivals, f"synthetic: {what} per function, rate scale {window.rate_scale:g}")


class Poisson(SourceOptions):
    """``rate_per_s`` of each function."""

    rate_per_s: float = Field(gt=0, allow_inf_nan=False)

    def requests(self, window: Window) -> Arrivals:
        rate = self.rate_per_s * window.rate_scale
        return _each(
            window, lambda rng: poisson_arrivals(rng, window.duration_s, rate), f"poisson {self.rate_per_s:g}/s"
        )


class Gamma(SourceOptions):
    """``rate_per_s`` of each function and the ``cv`` of its gaps."""

    rate_per_s: float = Field(gt=0, allow_inf_nan=False)
    cv: float = Field(ge=0.01, le=100, description="beyond 100 nearly all gaps are 0")

    def requests(self, window: Window) -> Arrivals:
        rate = self.rate_per_s * window.rate_scale
        what = f"gamma {self.rate_per_s:g}/s, cv {self.cv:g}"
        return _each(window, lambda rng: gamma_arrivals(rng, window.duration_s, rate, self.cv), what)


class OnOff(SourceOptions):
    """Rates of each function while on and off, and the means of its exponential dwell times."""

    on_rate_per_s: float = Field(gt=0, allow_inf_nan=False)
    off_rate_per_s: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    on_mean_s: float = Field(gt=0, allow_inf_nan=False)
    off_mean_s: float = Field(gt=0, allow_inf_nan=False)

    def requests(self, window: Window) -> Arrivals:
        on, off = self.on_rate_per_s * window.rate_scale, self.off_rate_per_s * window.rate_scale
        what = (
            f"on-off {self.on_rate_per_s:g}/s for {self.on_mean_s:g} s, "
            f"{self.off_rate_per_s:g}/s for {self.off_mean_s:g} s"
        )
        dwell = (self.on_mean_s, self.off_mean_s)
        return _each(window, lambda rng: on_off_arrivals(rng, window.duration_s, on, off, *dwell), what)
