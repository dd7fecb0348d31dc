"""What policies are told of durations and sizes: medians of the profile, never the draws of a run (design law 2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from simlora.entities import Function, QueuedRequest
from simlora.views import GpuView, InstanceView


class Rates(Protocol):
    """What a process costs, by the price list that the system names: USD per second for the bytes that it holds."""

    def starting_usd_per_s(self, gpu: GpuView, device_bytes: int, host_bytes: int) -> float: ...
    def idle_usd_per_s(self, gpu: GpuView, device_bytes: int, host_bytes: int) -> float: ...


class Estimates(Protocol):
    """Offline knowledge: the profile's medians for this system's engine, loader and sharing.

    What is asked of no GPU in particular is told of the cluster's first."""

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the cold-start stages in an order that respects precedence."""
        ...

    @property
    def preloadable(self) -> tuple[str, ...]:
        """The stages that may be done ahead of demand, same order."""
        ...

    @property
    def shared_stages(self) -> tuple[str, ...]:
        """The stages of which one copy on a GPU serves every instance there; none where nothing is shared."""
        ...

    def stage_s(self, function: Function, stage: str, gpu: GpuView | None = None) -> float:
        """Seconds of one stage on ``gpu`` as it is now (a resident shared backbone is mapped, not loaded)."""
        ...

    def stage_host_bytes(self, function: Function, stage: str) -> int: ...
    def stage_device_bytes(self, function: Function, stage: str, gpu: GpuView | None = None) -> int:
        """Device bytes the stage adds on ``gpu``: the instance's own, and the shared backbone's if it is absent."""
        ...

    def start_s(self, function: Function, done: Mapping[str, int], gpu: GpuView | None = None) -> float:
        """Seconds from the stages ``done`` to ready."""
        ...

    def start_bytes(self, function: Function, done: Mapping[str, int], gpu: GpuView) -> int:
        """Device bytes that the missing stages add on ``gpu``."""
        ...

    def part_bytes(self, function: Function, parts: int) -> int | None:
        """Device bytes of a process that runs one of so many equal parts of the model, without KV.

        ``None`` where there is no such process: the engine runs no part of a model, a backbone has several mappers or
        an engine many functions, or the model is split already.
        """
        ...

    def ttft_line(self, function: Function) -> tuple[float, float]:
        """(T0, alpha) of the paper's profile: a warm batch of b has its first token after T0 + alpha (b - 1)."""
        ...

    def request_bytes(self, request: QueuedRequest) -> int:
        """Device bytes that admitting the request reserves under the system's rule: KV and its share of activations."""
        ...

    def pool_adapter_bytes(self, function: Function) -> int:
        """Bytes that an engine's adapter in use takes of the memory that KV has; 0 where slots hold it."""
        ...

    def prefill_s(self, function: Function, prompt_tokens: int, gpu: GpuView | None = None) -> float:
        """Seconds of a step that prefills one prompt and nothing else."""
        ...

    def decode_s(self, at: InstanceView, batch: int, adapters: int, rank: int, context_tokens: int) -> float:
        """Seconds of a decode step there: sequences, distinct adapters, their largest rank, tokens in KV in all."""
        ...

    def missing_s(self, instance: InstanceView) -> float:
        """Seconds an existing instance still needs to be ready."""
        ...
