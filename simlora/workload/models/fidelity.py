"""How like the real thing a trace model is: replicas against their segment, and a class's replicas against the class.

The figures are stand-ins for what a simulation of them would give: no latency model, no policy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import ks_2samp

from simlora.workload.models.pattern import PatternModel
from simlora.workload.segments import SEGMENT_MINUTES, Segment
from simlora.workload.spreading import instainfer
from simlora.workload.variability import variability
from simlora.workload.workload import Floats, Ints, stream

KEEP_ALIVE_S = 60.0
"""Keep-alive of the stand-in for cold starts and cost (assumption; the simulator's policies have their own)."""
SERVICE_S = 1.0
"""Service time of the stand-in for waiting (assumption, as above)."""
REPLICAS = 20
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
TRAITS = ("requests", "CoV", "empty minutes", "longest gap (min)")
STAND_INS = ("cold share", "covered seconds", "queue seconds", "requests")


class Held(NamedTuple):
    """Of all segments, the share whose real figure lies in the replicas' 90 % interval, and how wide that is.

    ``share``: of each of :data:`STAND_INS`; ``width``: median of interval / real figure; ``together``: the share of
    segments for which all lie inside.
    """

    share: Floats
    width: Floats
    together: float


def stand_ins(counts: Ints, rng: np.random.Generator) -> Floats:
    """The :data:`STAND_INS` of a window whose counts are spread by the authors' rule.

    Share of requests after a gap beyond the keep-alive; seconds covered by the keep-alives; mean seconds from arrival
    to end with one server, first come first served; requests.
    """
    arrived_s = instainfer(counts, 60.0, rng)
    if not len(arrived_s):
        return np.zeros(len(STAND_INS))
    gaps_s = np.diff(arrived_s)
    cold = 1 + int((gaps_s > KEEP_ALIVE_S).sum())
    covered_s = KEEP_ALIVE_S + float(np.minimum(gaps_s, KEEP_ALIVE_S).sum())
    served_s = SERVICE_S * np.arange(len(arrived_s))
    ended_s = np.maximum.accumulate(arrived_s - served_s) + served_s + SERVICE_S
    return np.array([cold / len(arrived_s), covered_s, float((ended_s - arrived_s).mean()), len(arrived_s)])


def held(model: PatternModel, segments: Sequence[Segment], seed: int = 0) -> Held:
    """Compare each segment with :data:`REPLICAS` replicas of its own fit, all spread by the authors' rule."""
    inside, width = [], []
    for place, segment in enumerate(segments):
        rng = stream(seed, "fidelity", place)
        real = stand_ins(segment.counts, rng)
        replicas = [stand_ins(model.sample(segment.id, rng, SEGMENT_MINUTES), rng) for _ in range(REPLICAS)]
        low, high = np.quantile(replicas, [0.05, 0.95], axis=0)
        inside.append((low <= real) & (real <= high))
        width.append((high - low) / real)
    within = np.array(inside)
    return Held(within.mean(axis=0), np.median(width, axis=0), float(within.all(axis=1).mean()))


def traits(counts: Ints) -> Floats:
    """The :data:`TRAITS` of a window."""
    longest = np.diff(np.flatnonzero(counts)).max(initial=0)
    return np.array([counts.sum(), variability(counts).cov, (counts == 0).mean(), longest])


def trait_quantiles(windows: Sequence[Ints]) -> Floats:
    """Quantiles at :data:`LEVELS` of each trait over many windows: one row per trait."""
    return np.asarray(np.nanquantile([traits(window) for window in windows], LEVELS, axis=0).T, dtype=np.float64)


def largest_shares(windows: Sequence[Ints], functions: int = 8, draws: int = 2000, seed: int = 0) -> Floats:
    """Quantiles at :data:`LEVELS` of the largest function's share of requests, over random picks of 8 windows."""
    totals = np.array([int(window.sum()) for window in windows], dtype=np.float64)
    picked = stream(seed, "largest share").choice(totals, size=(draws, functions))
    return np.asarray(np.quantile(picked.max(axis=1) / picked.sum(axis=1), LEVELS), dtype=np.float64)


def unseen(segments: Sequence[Segment], replicas: Sequence[Sequence[Ints]]) -> tuple[Floats, Floats]:
    """Kolmogorov-Smirnov distances of each trait to the segments of every second traced function.

    First of the replicas of the other functions' segments (``replicas``: some of each segment), then of those segments
    themselves, for comparison.
    """
    order = {name: place for place, name in enumerate(sorted({segment.function for segment in segments}))}
    seen = [order[segment.function] % 2 == 0 for segment in segments]
    other = np.array([traits(segment.counts) for segment, ours in zip(segments, seen, strict=True) if not ours])
    made = np.array([traits(one) for own, ours in zip(replicas, seen, strict=True) if ours for one in own])
    real = np.array([traits(segment.counts) for segment, ours in zip(segments, seen, strict=True) if ours])
    return _distances(made, other), _distances(real, other)


def _distances(first: Floats, second: Floats) -> Floats:
    columns = range(first.shape[1])
    return np.array([float(ks_2samp(first[:, column], second[:, column]).statistic) for column in columns])
