"""The paper's choice of traffic: for each class, 4-hour segments drawn at random, one per function.

Source: ServerlessLoRA (arXiv 2505.14468): eight 4-hour segments of one class, one per function; range of the mean
inter-arrival time from the same authors' selection script (see :mod:`simlora.workload.variability`). Which days and
functions they drew is not stated. Here a day (or 8 hours) is cut into windows of 240 minutes that do not overlap.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from simlora.errors import TraceError, did_you_mean
from simlora.workload.readers.azure_functions import CUTS, read_minute_counts
from simlora.workload.variability import eligible, variability
from simlora.workload.workload import Ints

SEGMENT_MINUTES = 240


class Segment(NamedTuple):
    """Four hours of one real function; ``id`` is "function@minute of the day"."""

    id: str
    function: str
    counts: Ints
    """Invocations per minute, 240 of them."""
    cov: float
    pattern: str


@lru_cache(maxsize=4)
def eligible_segments(data_dir: Path, pattern: str, cut: str = "day") -> tuple[Segment, ...]:
    """All segments of a class (predictable, normal, bursty) in the authors' range, in the file's order.

    ``cut``: "day" (635 functions, best source) or "8h". Raises :class:`TraceError` if the file can't be read.
    """
    found = []
    which = CUTS[cut]
    for function, counts in read_minute_counts(data_dir / which.file, which).items():
        for start in range(0, len(counts) - SEGMENT_MINUTES + 1, SEGMENT_MINUTES):
            window = counts[start : start + SEGMENT_MINUTES]
            measured = variability(window)
            if eligible(window, measured) and measured.pattern == pattern:
                name = f"{function}@{which.first_minute + start}"
                found.append(Segment(name, function, window, measured.cov, pattern))
    return tuple(found)


def draw_ids(ids: Sequence[str], count: int, rng: np.random.Generator, where: str) -> list[str]:
    """``count`` segments of distinct functions, each with equal chance; a longer draw begins with the shorter.

    Raises :class:`TraceError` if fewer distinct functions are there.
    """
    taken: dict[str, str] = {}
    for place in rng.permutation(len(ids)):
        if len(taken) == count:
            break
        taken.setdefault(function_of(ids[place]), ids[place])
    if len(taken) < count:
        raise TraceError(
            f"{where}: found {count} functions; allowed: up to {len(taken)}, the traced functions that have a segment"
        )
    return list(taken.values())


def check_ids(wanted: Sequence[str], ids: Sequence[str], functions: int, where: str) -> None:
    """Raise :class:`TraceError` unless ``wanted`` names one known segment per function."""
    known = frozenset(ids)
    for name in wanted:
        if name not in known:
            near = did_you_mean(name, [i for i in ids if i.split("@")[0] == name.split("@")[0]] or ids[:3])
            raise TraceError(f'{where}: key "segments": no segment named "{name}"{near}')
    if len(wanted) != functions:
        raise TraceError(
            f'{where}: key "segments": found {len(wanted)} segments; allowed: one per function ({functions})'
        )


def function_of(segment_id: str) -> str:
    """The traced function of a segment id."""
    return segment_id.rpartition("@")[0]
