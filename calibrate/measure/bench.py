"""Timing of work: events on a GPU, the host's clock on a CPU; warm, with caches as a running model leaves them."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

WARM_UPS, FEWEST, MOST = 3, 7, 100
FLUSH_BYTES = 256 * 2**20
"""More than the last-level cache of any GPU: a step streams all weights between two uses of an operand."""


@dataclass
class Bench:
    """Where to measure, and how long to spend on one figure."""

    device: torch.device
    seconds_per_figure: float
    rng: torch.Generator = field(init=False)
    _flush: torch.Tensor | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.rng = torch.Generator(device=self.device).manual_seed(0)
        if self.is_gpu:
            self._flush = torch.empty(FLUSH_BYTES, dtype=torch.int8, device=self.device)

    @property
    def is_gpu(self) -> bool:
        return self.device.type == "cuda"

    @property
    def dtype(self) -> torch.dtype:
        """Of weights and activations: half precision where it is native."""
        return torch.float16 if self.is_gpu else torch.float32

    def random(self, *size: int) -> torch.Tensor:
        """Normal numbers: zeros can run faster than data do."""
        return torch.randn(*size, dtype=self.dtype, device=self.device, generator=self.rng)

    def sync(self) -> None:
        """Wait for the device."""
        if self.is_gpu:
            torch.cuda.synchronize(self.device)

    def device_s(self, call: Callable[[], Any]) -> list[float]:
        """Device seconds of ``call``, sample by sample, its operands out of the cache."""
        for _ in range(WARM_UPS):
            call()
        self.sync()
        samples: list[float] = []
        spent, began = 0.0, time.perf_counter()
        while len(samples) < FEWEST or (spent < self.seconds_per_figure and len(samples) < MOST):
            samples.extend(self._device_round(call))
            spent = time.perf_counter() - began
        return samples

    def _device_round(self, call: Callable[[], Any], count: int = 5) -> list[float]:
        if self._flush is None:
            return [self._wall(call) for _ in range(count)]
        events = [(torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)) for _ in range(count)]
        for start, end in events:
            self._flush.fill_(1)
            start.record()
            call()
            end.record()
        self.sync()
        return [start.elapsed_time(end) * 1e-3 for start, end in events]

    def wall_s(self, call: Callable[[], Any]) -> list[float]:
        """Seconds of ``call`` on the host's clock until the device is done: what somebody who waits sees."""
        for _ in range(WARM_UPS):
            call()
        self.sync()
        samples: list[float] = []
        began = time.perf_counter()
        while len(samples) < FEWEST or (time.perf_counter() - began < self.seconds_per_figure and len(samples) < MOST):
            samples.append(self._wall(call))
        return samples

    def _wall(self, call: Callable[[], Any]) -> float:
        self.sync()
        began = time.perf_counter()
        call()
        self.sync()
        return time.perf_counter() - began

    def free_bytes(self) -> int:
        """Device memory (host memory on a CPU) that is free now, what nobody refers to any more given back."""
        if self.is_gpu:
            gc.collect()
            torch.cuda.ipc_collect()
            torch.cuda.empty_cache()
            return int(torch.cuda.mem_get_info(self.device)[0])
        with open("/proc/meminfo", encoding="ascii") as lines:
            kib = next(line.split()[1] for line in lines if line.startswith("MemAvailable"))
        return int(kib) * 1024
