"""Estimates from a small table, in place of a latency profile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from simlora.entities import Function, QueuedRequest
from simlora.views import GpuView, InstanceView

STAGES = ("container", "library", "context", "backbone", "adapter", "kernels", "first_run")


@dataclass(frozen=True)
class TableEstimates:
    """Durations and sizes of round figures; ``shared`` says whether a GPU holds one copy of a backbone for all,
    ``paged`` whether an engine's adapters take the memory of its KV.

    The figures are placeholders for tests and belong to no hardware.
    """

    shared: bool = True
    stages: tuple[str, ...] = STAGES
    preloadable: tuple[str, ...] = STAGES[:-1]
    seconds: Mapping[str, float] = field(
        default_factory=lambda: dict(zip(STAGES, (1.0, 3.0, 0.4, 4.0, 0.2, 0.5, 0.5), strict=True))
    )
    map_s: float = 0.1
    library_bytes: int = 600_000_000
    context_bytes: int = 473_000_000
    kernel_bytes: int = 20_000_000
    paged: bool = False
    t0_s: float = 0.2
    alpha_s: float = 0.01

    @property
    def shared_stages(self) -> tuple[str, ...]:
        return ("backbone",) if self.shared else ()

    def _resident(self, function: Function, gpu: GpuView | None) -> bool:
        return self.shared and gpu is not None and function.backbone in gpu.backbones

    def stage_s(self, function: Function, stage: str, gpu: GpuView | None = None) -> float:
        return self.map_s if stage == "backbone" and self._resident(function, gpu) else self.seconds[stage]

    def stage_host_bytes(self, function: Function, stage: str) -> int:
        return self.library_bytes if stage == "library" else 0

    def stage_device_bytes(self, function: Function, stage: str, gpu: GpuView | None = None) -> int:
        if stage == "backbone":
            return 0 if self._resident(function, gpu) else function.backbone.shard.weights_bytes
        if stage == "adapter":
            return function.adapter_shard_bytes
        return {"context": self.context_bytes, "kernels": self.kernel_bytes}.get(stage, 0)

    def start_s(self, function: Function, done: Mapping[str, int], gpu: GpuView | None = None) -> float:
        return sum(self.stage_s(function, stage, gpu) for stage in self.stages if stage not in done)

    def start_bytes(self, function: Function, done: Mapping[str, int], gpu: GpuView) -> int:
        return sum(self.stage_device_bytes(function, stage, gpu) for stage in self.stages if stage not in done)

    def part_bytes(self, function: Function, parts: int) -> int | None:
        if self.shared or function.backbone.tensor_parallel > 1:
            return None
        loaded_bytes = function.backbone.weights_bytes + function.adapter.bytes
        return self.context_bytes + self.kernel_bytes + -(-loaded_bytes // parts)

    def ttft_line(self, function: Function) -> tuple[float, float]:
        return self.t0_s, self.alpha_s

    def request_bytes(self, request: QueuedRequest) -> int:
        return request.function.backbone.shard.kv_bytes_per_token * (request.prompt_tokens + request.max_new_tokens)

    def pool_adapter_bytes(self, function: Function) -> int:
        return function.adapter_shard_bytes if self.paged else 0

    def prefill_s(self, function: Function, prompt_tokens: int, gpu: GpuView | None = None) -> float:
        return self.t0_s + 1e-4 * prompt_tokens

    def decode_s(self, at: InstanceView, batch: int, adapters: int, rank: int, context_tokens: int) -> float:
        return 0.02 + 1e-4 * batch + 1e-5 * batch * rank + 1e-7 * context_tokens

    def missing_s(self, instance: InstanceView) -> float:
        if instance.function is None:
            return 0.0 if instance.ready else sum(self.seconds[s] for s in self.stages if s not in instance.done)
        return self.start_s(instance.function, instance.done, instance.gpu)
