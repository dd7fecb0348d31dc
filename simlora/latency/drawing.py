"""A profile as it might have been: each fitted part slower or faster by an error drawn from its held-out residuals."""

from __future__ import annotations

from random import Random
from typing import Any

from simlora.latency.kernels import Fitted, KernelProfile, Residual
from simlora.latency.profile import Profile

TAIL = 1.2816
"""Standard deviations from the median to the 10th or 90th percentile of a normal distribution."""
SMALLEST = -0.9
"""A prediction is never taken for less than a tenth of what would have been measured."""


def drawn_profile(profile: Profile, draw: int) -> Profile:
    """The ``draw``-th of the profiles that its errors allow, the same in every process; the profile itself for 0.

    One error per part, whatever the size: errors that differ from size to size would cancel out in part. Host time,
    loads and start-up stay as they are (assumption A56).
    """
    return Profile(_drawn(profile.kernels, draw), profile.engine) if draw else profile


def _drawn(kernels: KernelProfile, draw: int) -> KernelProfile:
    parts = {name: part for name, part in kernels if isinstance(part, Fitted) and part.residuals}
    return kernels.model_copy(update={name: _scaled(part, f"{name}/{draw}") for name, part in parts.items()})


def _scaled(part: Fitted, purpose: str) -> Fitted:
    low, middle, high = (_typical(part.residuals, name) for name in ("p10", "p50", "p90"))
    normal = Random(purpose).gauss(0.0, 1.0) / TAIL
    relative = middle + normal * (high - middle if normal > 0 else middle - low)
    factor = 1 / (1 + max(relative, SMALLEST))
    return part.model_copy(update={name: _times(name, value, factor) for name, value in part})


def _typical(residuals: tuple[Residual, ...], name: str) -> float:
    """A percentile, as an average over the classes of size by their points."""
    weighted = [float(getattr(row, name)) * row.points for row in residuals]
    return sum(weighted) / sum(row.points for row in residuals)


def _times(name: str, value: Any, factor: float) -> Any:
    if name == "values":
        return tuple(_times(name, item, factor) for item in value) if isinstance(value, tuple) else value * factor
    if name == "bytes_per_s":
        return value / factor
    return value * factor if name.endswith("_s") else value
