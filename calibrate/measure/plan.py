"""What to measure: the models, and how much of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from calibrate.measure.shapes import Shape

Case = dict[str, Any]
"""What distinguishes one measurement of a part from the next; together with its results it is one row."""


@dataclass(frozen=True)
class Plan:
    """The models and the extent: ``quick`` for a first profile, ``full`` for a report."""

    models: tuple[Shape, ...]
    is_gpu: bool
    full: bool

    def some(self, quick: tuple[int, ...], full: tuple[int, ...], cpu: tuple[int, ...]) -> tuple[int, ...]:
        """The values of a dimension to measure at."""
        if not self.is_gpu:
            return cpu
        return full if self.full else quick

    @property
    def tokens(self) -> tuple[int, ...]:
        """Rows of a matrix product."""
        powers = tuple(2**i for i in range(14))
        between = tuple(3 * 2**i for i in range(4, 12))
        return self.some(powers, tuple(sorted(powers + between)), (1, 8, 64, 256))

    @property
    def ranks(self) -> tuple[int, ...]:
        return self.some((8, 16, 32, 64, 128), (4, 8, 16, 32, 64, 128), (8, 32))

    @property
    def largest(self) -> Shape:
        return max(self.models, key=lambda shape: (shape.params, shape.name))

    @property
    def smallest(self) -> Shape:
        return min(self.models, key=lambda shape: (shape.params, shape.name))
