"""What every source is asked, what it answers, and how counts become arrivals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict

from simlora.errors import TraceError
from simlora.workload.bounds import check_requests
from simlora.workload.readers.requests import RequestTable
from simlora.workload.spreading import SPREADERS, SpreaderName, scale_counts
from simlora.workload.workload import Floats, Ints, stream


class Window(NamedTuple):
    """The run that wants traffic. ``rate_scale`` multiplies the rate; 1 leaves the source as it is."""

    functions: Sequence[str]
    duration_s: float
    rate_scale: float
    seed: int
    base_dir: Path
    data_dir: Path | None


class Arrivals(NamedTuple):
    """Arrival times of each function of the window, ascending; ``provenance`` is one line."""

    per_function: list[Floats]
    provenance: str


class Requests(NamedTuple):
    """What a trace answers that brings its own token counts; ``provenance`` is one line."""

    table: RequestTable
    provenance: str


class TraceSource(Protocol):
    """A trace, made or read."""

    def requests(self, window: Window) -> Arrivals | Requests: ...


class SourceOptions(BaseModel):
    """Base of the keys of a source."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SpreadOptions(SourceOptions):
    """Keys of a source of counts."""

    spreader: SpreaderName = "instainfer"

    def spread(self, counts: Sequence[Ints], bin_s: float, window: Window) -> list[Floats]:
        """Arrivals of each function: its counts scaled, then spread, each by the function's own streams."""
        arrivals = []
        for row, own in enumerate(counts):
            check_requests(float(own.sum()) * window.rate_scale)
            if window.rate_scale != 1.0:
                own = scale_counts(own, window.rate_scale, stream(window.seed, "rate scale", row))
            arrivals.append(SPREADERS[self.spreader](own, bin_s, stream(window.seed, "spread", row)))
        return arrivals


def need_data(window: Window, name: str, file: str) -> Path:
    """A trace's file under the data folder; without a folder :class:`TraceError` says what to do."""
    if window.data_dir is None:
        raise TraceError(
            f'trace "{name}" is real data that simlora does not ship: set SIMLORA_DATA to a folder that holds traces/ '
            "(see traces/README.md, and simlora trace fetch), or use a trace that runs anywhere, such as "
            '"model/azure-2019-bursty" or "gamma"'
        )
    return window.data_dir / file
