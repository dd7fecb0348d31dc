"""A small statistical model of one function's traffic: a renewal process of busy minutes, marked with their counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simlora.errors import TraceError
from simlora.workload.models.distribution import Points, rank_correlation, remembering_ranks
from simlora.workload.workload import Ints


@dataclass(frozen=True)
class SegmentModel:
    """What decides cold starts: how long from one busy minute to the next, and how many requests come in each.

    Timers with an exact period are gaps of one value; bursts are memory in the counts; sessions are memory in the gaps.
    Stationary: no drift over the hours beyond what memory gives.
    """

    gaps: Points
    """Minutes from a busy minute to the next busy one (1: no empty minute between)."""
    counts: Points
    """Requests of a busy minute."""
    gap_memory: float
    """Lag-1 rank correlation of the gaps."""
    count_memory: float
    """Lag-1 rank correlation of the counts."""
    tie: float
    """Rank correlation of a minute's count and the gap after it."""

    def sample(self, rng: np.random.Generator, minutes: int) -> Ints:
        """Requests per minute of a replica of this length; begins at a random place of a random gap."""
        first = int(self.gaps.length_biased().draw(rng.random(1), rng)[0])
        start = int(rng.integers(first))
        gap_ranks = remembering_ranks(rng, minutes, self.gap_memory)
        count_ranks = remembering_ranks(rng, minutes, self.count_memory)
        tied = rng.random(minutes) < abs(self.tie)
        count_ranks = np.where(tied, gap_ranks if self.tie > 0 else 1.0 - gap_ranks, count_ranks)
        at = start + np.concatenate([[0], np.cumsum(self.gaps.draw(gap_ranks, rng))])
        busy = int(np.searchsorted(at, minutes))
        replica = np.zeros(minutes, dtype=np.int64)
        replica[at[:busy]] = self.counts.draw(count_ranks[:busy], rng)
        return replica

    def __str__(self) -> str:
        return f"{self.gaps} {self.counts} {self.gap_memory:.2f} {self.count_memory:.2f} {self.tie:.2f}"

    @classmethod
    def parse(cls, text: str) -> SegmentModel:
        """From what ``str`` gives; raises ``ValueError``."""
        gaps, counts, gap_memory, count_memory, tie = text.split()
        return cls(Points.parse(gaps), Points.parse(counts), float(gap_memory), float(count_memory), float(tie))


def fit_segment(counts: Ints) -> SegmentModel:
    """Fit on requests per minute; raises :class:`TraceError` if there are none.

    The window is closed to a ring, so that the stretch before the first and after the last busy minute is one gap and
    the expected number of busy minutes is the one seen.
    """
    busy = np.flatnonzero(counts)
    if not len(busy):
        raise TraceError("a segment without requests can't be fitted; at least one request is needed")
    gaps = np.diff(busy, append=busy[0] + len(counts))
    marks = counts[busy]
    return SegmentModel(
        gaps=Points.fit(gaps),
        counts=Points.fit(marks),
        gap_memory=rank_correlation(gaps[:-1], gaps[1:]),
        count_memory=rank_correlation(marks[:-1], marks[1:]),
        tie=rank_correlation(marks, gaps),
    )
