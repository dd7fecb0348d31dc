"""The Azure LLM inference trace 2023, its requests shared out between the functions."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from simlora.workload.readers.azure_llm import FILES, read_azure_llm
from simlora.workload.readers.requests import RequestTable
from simlora.workload.sources.base import Requests, SourceOptions, Window, need_data
from simlora.workload.workload import stream


class AzureLlm(SourceOptions):
    """One service's requests with their own token counts.

    The trace names no function, so each request goes to one at random (assumption), the function of row r with weight
    (r + 1)^-``zipf``; 0, the default, gives all the same. A further function takes requests from the others and moves
    none between them. ``rate_scale`` compresses time, which keeps the CoV.
    """

    service: Literal["code", "conv"]
    zipf: float = Field(default=0.0, ge=0, allow_inf_nan=False)

    def requests(self, window: Window) -> Requests:
        """All requests of the trace (about 58 minutes at ``rate_scale`` 1)."""
        data_dir = need_data(
            window.data_dir, f"azure-llm-2023/{self.service}", '{ name = "gamma", rate_per_s = ..., cv = ... }'
        )
        table = read_azure_llm(data_dir / FILES[self.service])
        races = [
            stream(window.seed, "assign", row).standard_exponential(len(table.arrived_s)) * (row + 1.0) ** self.zipf
            for row in range(len(window.functions))
        ]
        shared = RequestTable(
            arrived_s=table.arrived_s / window.rate_scale,
            function=np.argmin(races, axis=0).astype(np.int32),
            prompt_tokens=table.prompt_tokens,
            output_tokens=table.output_tokens,
        )
        return Requests(
            shared, f"real: Azure LLM inference 2023 ({self.service}), shared at random, zipf {self.zipf:g}"
        )
