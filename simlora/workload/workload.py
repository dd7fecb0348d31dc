"""What a run is fed: one row per request, in columns, and the named random streams that made it."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Workload:
    """Requests in order of arrival; equal times stand in the order of the functions table."""

    arrived_s: Floats
    """Ascending, from the start of the window (0)."""
    function: NDArray[np.int32]
    """Row of the functions table."""
    prompt_tokens: NDArray[np.int32]
    output_tokens: NDArray[np.int32]
    """At least 1; known to the back-end alone."""
    max_new_tokens: NDArray[np.int32]
    """At least ``output_tokens``; what a policy may see."""
    provenance: str
    """One line: real, model, synthetic or file, and from what."""

    def __len__(self) -> int:
        return len(self.arrived_s)


def stream(seed: int, purpose: str, entity: int = 0) -> np.random.Generator:
    """The random stream of one purpose and one entity (a function's row): no other draw can shift it."""
    return np.random.default_rng(np.random.SeedSequence([seed, zlib.crc32(purpose.encode()), entity]))
