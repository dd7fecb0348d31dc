"""Synthetic traffic of many functions that differ in popularity: Zipf, Zipf with drifting ranks, and a daily course.

``rate_per_s`` is of all functions together. Each function's arrivals are a renewal process with gamma gaps in the time
that its rate makes, from a stream of its own.
"""

from __future__ import annotations

import math

import numpy as np
from pydantic import Field

from simlora.errors import TraceError
from simlora.workload.bounds import check_requests
from simlora.workload.sources.base import Arrivals, SourceOptions, Window
from simlora.workload.synthetic import varying_arrivals
from simlora.workload.workload import Floats, stream

DIURNAL_STEPS = 1440
"""Of a period, in each of which the rate is constant at its mean there: minutes of a day."""


def zipf_shares(ranks: int, exponent: float) -> Floats:
    """Shares of the ranks 1 to ``ranks``, proportional to rank^-exponent; they sum to 1."""
    weights = np.arange(1.0, ranks + 1.0) ** -exponent
    return np.asarray(weights / weights.sum(), dtype=np.float64)


GENTD26_RANKS = (1, 5, 10, 50, 100, 874)
GENTD26_USES = (0.08, 0.20, 0.28, 0.56, 0.69, 1.0)
"""Share of all uses that the first so many of the 874 adapters (on 80 base models) of a LoRA service have: counted in
Alibaba's GenTD26, alibaba/clusterdata, ``cluster-trace-v2026-GenAI``. Its times may be rescaled; ratios are not."""


def gentd26_shares() -> Floats:
    """Shares of the 874 ranks, most popular first: the counted ones interpolated in log rank, so that within an
    interval share falls as 1 / rank; the data has slope -0.97 over the first 300."""
    upto = np.interp(np.log(np.arange(1.0, GENTD26_RANKS[-1] + 1.0)), np.log(GENTD26_RANKS), GENTD26_USES)
    return np.sort(np.diff(upto, prepend=0.0))[::-1]


class Popular(SourceOptions):
    """Keys of all three. ``over``: how many functions ``rate_per_s`` is the total of, those of the table by default;
    where it is given, a further function takes nothing from the others.
    """

    rate_per_s: float = Field(gt=0, allow_inf_nan=False)
    cv: float = Field(default=1.0, ge=0.01, le=100, description="of the gaps; 1 is Poisson")
    over: int | None = Field(default=None, ge=1)

    def ranked_rates(self, window: Window, exponent: float) -> Floats:
        """Rate (1/s) of each rank by Zipf, the most popular first; one for each function of the window."""
        rows = len(window.functions)
        return self.rates(window, zipf_shares(max(rows, self.over or rows), exponent))

    def rates(self, window: Window, shares: Floats) -> Floats:
        """Rate (1/s) of each function from the shares of at least as many."""
        return self.rate_per_s * window.rate_scale * shares[: len(window.functions)]

    def arrivals(self, window: Window, edges_s: Floats, rates_per_s: Floats, what: str) -> Arrivals:
        """``rates_per_s``: a row per function, a column per interval between edges."""
        per_function = [
            varying_arrivals(stream(window.seed, "arrivals", row), edges_s, own, self.cv)
            for row, own in enumerate(rates_per_s)
        ]
        over = f" over {self.over}" if self.over else ""
        return Arrivals(
            per_function,
            f"synthetic: {what}, {self.rate_per_s:g}/s in all{over}, cv {self.cv:g}, rate scale {window.rate_scale:g}",
        )


class Zipf(Popular):
    """The function of row r has the share (r + 1)^-``exponent``."""

    exponent: float = Field(ge=0, allow_inf_nan=False)

    def requests(self, window: Window) -> Arrivals:
        rates = self.ranked_rates(window, self.exponent)
        return self.arrivals(
            window, np.array([0.0, window.duration_s]), rates[:, np.newaxis], f"zipf {self.exponent:g}"
        )


class GenTD26(Popular):
    """The function of row r has the share of that rank of a real LoRA service, among the first ``over`` ranks."""

    over: int | None = Field(default=None, ge=1, le=GENTD26_RANKS[-1])

    def requests(self, window: Window) -> Arrivals:
        """Raises :class:`TraceError` for more functions than the service has adapters."""
        rows, most = len(window.functions), GENTD26_RANKS[-1]
        if rows > most:
            raise TraceError(f'trace "model/gentd26": found {rows} functions; allowed: up to {most}')
        first = gentd26_shares()[: max(rows, self.over or rows)]
        rates = self.rates(window, first / first.sum())
        made = self.arrivals(window, np.array([0.0, window.duration_s]), rates[:, np.newaxis], "popularity of GenTD26")
        return made._replace(provenance=made.provenance.replace("synthetic", "model", 1))


class Drift(Popular):
    """Zipf at every instant, but who has which rank changes.

    Every ``every_s`` each function draws its place in the order anew with chance ``churn``, otherwise it keeps it. All
    orders are equally likely at any time, so the row says nothing.
    """

    exponent: float = Field(ge=0, allow_inf_nan=False)
    every_s: float = Field(gt=0, allow_inf_nan=False)
    churn: float = Field(default=0.1, ge=0, le=1)

    def requests(self, window: Window) -> Arrivals:
        check_requests(window.duration_s / self.every_s * len(window.functions))
        epochs = math.ceil(window.duration_s / self.every_s)
        places = np.stack([self._places(window.seed, row, epochs) for row in range(len(window.functions))])
        ranks = np.argsort(np.argsort(places, axis=0, kind="stable"), axis=0, kind="stable")
        edges_s = np.append(np.arange(epochs) * self.every_s, window.duration_s)
        what = f"zipf {self.exponent:g} drifting, {self.churn:g} of ranks anew every {self.every_s:g} s"
        return self.arrivals(window, edges_s, self.ranked_rates(window, self.exponent)[ranks], what)

    def _places(self, seed: int, row: int, epochs: int) -> Floats:
        """Where the function stands in each epoch, in [0, 1)."""
        rng = stream(seed, "popularity", row)
        drawn, anew = rng.uniform(size=epochs), rng.uniform(size=epochs) < self.churn
        anew[0] = True
        return np.asarray(drawn[np.maximum.accumulate(np.where(anew, np.arange(epochs), 0))], dtype=np.float64)


class Diurnal(Popular):
    """A sinusoid: up by ``depth`` of the mean at ``peak_s`` and every ``period_s`` from there, down by it in between.

    ``peak_spread_s``: peaks of functions lie anywhere in so many seconds around that. ``exponent``: as of zipf.
    """

    exponent: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    depth: float = Field(default=0.8, ge=0, le=1)
    period_s: float = Field(default=86_400.0, gt=0, allow_inf_nan=False)
    peak_s: float = Field(default=50_400.0, allow_inf_nan=False)
    peak_spread_s: float = Field(default=0.0, ge=0, allow_inf_nan=False)

    def requests(self, window: Window) -> Arrivals:
        step_s = self.period_s / DIURNAL_STEPS
        check_requests(window.duration_s / step_s * len(window.functions))
        edges_s = np.append(np.arange(math.ceil(window.duration_s / step_s)) * step_s, window.duration_s)
        rates = self.ranked_rates(window, self.exponent)[:, np.newaxis] * np.stack(
            [self._course(edges_s, self._peak_s(window.seed, row)) for row in range(len(window.functions))]
        )
        what = f"diurnal, depth {self.depth:g}, period {self.period_s:g} s, peak {self.peak_s:g} s"
        return self.arrivals(window, edges_s, rates, f"{what}, zipf {self.exponent:g}")

    def _peak_s(self, seed: int, row: int) -> float:
        return self.peak_s + self.peak_spread_s * (stream(seed, "peak", row).uniform() - 0.5)

    def _course(self, edges_s: Floats, peak_s: float) -> Floats:
        """Of each interval the mean of 1 + depth cos(2 pi (t - peak) / period)."""
        turn = 2.0 * math.pi / self.period_s
        rise = np.diff(np.sin(turn * (edges_s - peak_s))) / (turn * np.diff(edges_s))
        return np.maximum(1.0 + self.depth * rise, 0.0)
