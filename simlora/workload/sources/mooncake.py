"""The Mooncake trace, each request somewhere in its bin, shared out between the functions."""

from __future__ import annotations

from typing import Literal

import numpy as np

from simlora.workload.readers.mooncake import BIN_S, FILES, read_mooncake
from simlora.workload.readers.requests import UnownedRequests
from simlora.workload.sources.base import Requests, Window, need_data
from simlora.workload.sources.shared_out import SharedOut
from simlora.workload.workload import stream


class Mooncake(SharedOut):
    """One service's requests with their own token counts; each arrives anywhere in its bin of 3 s with equal chance."""

    service: Literal["conversation"]

    def requests(self, window: Window) -> Requests:
        """All requests of the trace (about 59 minutes at ``rate_scale`` 1)."""
        trace = read_mooncake(need_data(window, f"mooncake/{self.service}", FILES[self.service]))
        arrived_s = trace.arrived_s + stream(window.seed, "jitter").uniform(0.0, BIN_S, len(trace.arrived_s))
        order = np.argsort(arrived_s, kind="stable")
        jittered = UnownedRequests(arrived_s[order], trace.prompt_tokens[order], trace.output_tokens[order])
        return self.share(jittered, window, f"Mooncake ({self.service}), jittered in bins of {BIN_S:g} s")
