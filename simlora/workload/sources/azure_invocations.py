"""Azure Functions 2021: every function of the table replays the invocations of a traced one."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from simlora.errors import TraceError
from simlora.workload.readers.azure_invocations import FILES, read_invocations
from simlora.workload.sources.base import Arrivals, SourceOptions, Window, need_data
from simlora.workload.workload import stream


class AzureInvocations(SourceOptions):
    """``start_s``: where in the two weeks the window begins.

    Functions are drawn by seed among those invoked in the window, each with equal chance; a longer draw begins with
    the shorter. ``rate_scale`` compresses time, which keeps the CoV.
    """

    name: str
    start_s: float = Field(default=0.0, ge=0, allow_inf_nan=False)

    def requests(self, window: Window) -> Arrivals:
        """Raises :class:`TraceError` if fewer functions are invoked in the window than the table has."""
        end_s = self.start_s + window.duration_s * window.rate_scale
        inside = [
            times[np.searchsorted(times, self.start_s) : np.searchsorted(times, end_s)]
            for times in read_invocations(need_data(window, self.name, FILES[self.name]))
        ]
        alive = [row for row, times in enumerate(inside) if len(times)]
        wanted = len(window.functions)
        if len(alive) < wanted:
            raise TraceError(
                f'trace "{self.name}": found {wanted} functions; allowed: up to {len(alive)}, those invoked from '
                f"{self.start_s:g} s to {end_s:g} s"
            )
        drawn = stream(window.seed, "functions").permutation(len(alive))[:wanted]
        chosen = [alive[place] for place in drawn]
        return Arrivals(
            [(inside[row] - self.start_s) / window.rate_scale for row in chosen],
            f"real: Azure Functions 2021 ({self.name}) from {self.start_s:g} s, functions {' '.join(map(str, chosen))}",
        )
