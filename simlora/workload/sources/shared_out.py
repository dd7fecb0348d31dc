"""Requests that name no function, shared out between those of the table."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from simlora.workload.readers.requests import RequestTable, UnownedRequests
from simlora.workload.sources.base import Requests, SourceOptions, Window
from simlora.workload.workload import stream


class SharedOut(SourceOptions):
    """Each request goes to one function at random (assumption), the function of row r with weight (r + 1)^-``zipf``; 0,
    the default, gives all the same. A further function takes requests from the others and moves none between them.
    ``rate_scale`` compresses time, which keeps the CoV.
    """

    zipf: float = Field(default=0.0, ge=0, allow_inf_nan=False)

    def share(self, trace: UnownedRequests, window: Window, origin: str) -> Requests:
        """All requests of the trace, each with a function."""
        races = [
            stream(window.seed, "assign", row).standard_exponential(len(trace.arrived_s)) * (row + 1.0) ** self.zipf
            for row in range(len(window.functions))
        ]
        shared = RequestTable(
            arrived_s=trace.arrived_s / window.rate_scale,
            function=np.argmin(races, axis=0).astype(np.int32),
            prompt_tokens=trace.prompt_tokens,
            output_tokens=trace.output_tokens,
        )
        return Requests(shared, f"real: {origin}, shared at random, zipf {self.zipf:g}")
