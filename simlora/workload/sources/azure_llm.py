"""The Azure LLM inference trace 2023, its requests shared out between the functions."""

from __future__ import annotations

from typing import Literal

from simlora.workload.readers.azure_llm import FILES, read_azure_llm
from simlora.workload.sources.base import Requests, Window, need_data
from simlora.workload.sources.shared_out import SharedOut


class AzureLlm(SharedOut):
    """One service's requests with their own token counts."""

    service: Literal["code", "conv"]

    def requests(self, window: Window) -> Requests:
        """All requests of the trace (about 58 minutes at ``rate_scale`` 1)."""
        path = need_data(window, f"azure-llm-2023/{self.service}", FILES[self.service])
        return self.share(read_azure_llm(path), window, f"Azure LLM inference 2023 ({self.service})")
