"""What isolated processes cost each other on one GPU: every active batch runs ``slowdown`` times slower than alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Contention(Protocol):
    """``gpu_shares``: sum over the active processes of the fraction of a solo step in which each keeps the GPU busy."""

    def slowdown(self, gpu_shares: float, count: int) -> float: ...


@dataclass(frozen=True, slots=True)
class TimeSlice:
    """The driver gives each of ``count`` active processes an equal share: M x T(b), as in the ServerlessLoRA paper."""

    def slowdown(self, gpu_shares: float, count: int) -> float:
        return float(max(1, count))


@dataclass(frozen=True, slots=True)
class GpuShare:
    """Processes fill each other's host time and slow down only once the GPU is wanted more than all of the time."""

    def slowdown(self, gpu_shares: float, count: int) -> float:
        return max(1.0, gpu_shares)


CONTENTION: dict[str, Contention] = {"time-slice": TimeSlice(), "gpu-share": GpuShare()}
