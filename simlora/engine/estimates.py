"""What policies are told of durations and sizes: the profile's medians for this system (implements ``Estimates``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from simlora.cluster.machines import Machines, of_each_gpu
from simlora.entities import ArtifactKind, Backbone, Function, QueuedRequest, Tier
from simlora.latency import Loader, ModelLatency, Stage, fit_ttft_line, load_loader
from simlora.systems.config import SystemConfig
from simlora.views import GpuView, InstanceView


class ProfileEstimates:
    """Medians and exact sizes; nothing here is drawn, and nothing knows output lengths (design law 2).

    What is asked of no GPU in particular is answered for the cluster's first. Start-up stages are the
    engine's, hence the same everywhere.
    """

    def __init__(self, system: SystemConfig, machines: Sequence[Machines], functions: Sequence[Function]):
        self.system = system
        self._machines = list(of_each_gpu(machines))
        self.profile = profile = machines[0].profile
        self._functions = functions
        self._stages: dict[str, Stage] = {stage.name: stage for stage in profile.startup}
        self.stages = tuple(self._stages)
        self.one_for_all = system.sharing == "in-process"
        self.preloadable = tuple(stage.name for stage in profile.startup if stage.preloadable)
        shares = system.sharing == "ipc"
        self.shared_stages = tuple(s.name for s in profile.startup if shares and s.shareable and s.moves)
        self._own_bytes = {function: self._stage_bytes(function) for function in functions}
        self._all_bytes = {function: sum(sizes.values()) for function, sizes in self._own_bytes.items()}
        self._shared_bytes = {f.backbone: self.backbone_process_bytes(f.backbone) for f in functions if shares}
        self._paged = system.sharing == "in-process" and system.adapter_memory == "paged"
        self._place_bytes: dict[Function, int] = {}
        self._lines: dict[Function, tuple[float, float]] = {}
        self._moves: dict[tuple[Machines, Function, str, Tier], float] = {}
        self._request_bytes: dict[Function, tuple[int, int, int]] = {}

    # ------------------------------------------------------------------ models and loaders

    def model(self, function: Function, gpu: GpuView | None = None) -> ModelLatency:
        """The clock of a process that serves ``function`` alone."""
        return self._at(gpu).profile.model(function.backbone, function.target_modules)

    def engine_model(self, backbone: Backbone, gpu: GpuView | None = None) -> ModelLatency:
        """The clock of an engine that serves every function of ``backbone``, its slots as wide as the widest."""
        modules = max((f.target_modules for f in self._functions if f.backbone is backbone), key=lambda m: (len(m), m))
        return self._at(gpu).profile.model(backbone, modules)

    def model_of(self, instance: InstanceView) -> ModelLatency:
        """The clock of an instance."""
        if instance.function is not None:
            return self.model(instance.function, instance.gpu)
        return self.engine_model(instance.backbone, instance.gpu)

    @property
    def hop_s(self) -> float:
        """Of a step, for each node of a pipeline but the first."""
        hops = self.profile.engine.pipeline
        return 0.0 if hops is None else hops.hop_s

    def _at(self, gpu: GpuView | None) -> Machines:
        return self._machines[0 if gpu is None else gpu.index]

    @property
    def loader(self) -> Loader:
        """Of backbones."""
        return self.system.loads_with()

    @property
    def adapter_loader(self) -> Loader:
        return load_loader(self.profile.engine.adapter_loader)

    # ------------------------------------------------------------------ stages

    def _resident(self, function: Function, gpu: GpuView | None) -> bool:
        return bool(self.shared_stages) and gpu is not None and function.backbone in gpu.backbones

    def stage_s(self, function: Function, stage: str, gpu: GpuView | None = None) -> float:
        found = self._stages[stage]
        if found.shared_s is not None and self._resident(function, gpu):
            return found.shared_s
        if not found.moves or (self.one_for_all and found.artifact is ArtifactKind.ADAPTER):
            return found.seconds
        name = function.adapter.name if found.artifact is ArtifactKind.ADAPTER else function.backbone.name
        if gpu is not None and gpu.node.caches(name):
            return found.seconds + self._move_s(gpu, function, stage, Tier.HOST, Tier.DEVICE)
        seconds = found.seconds + self._move_s(gpu, function, stage, Tier.SSD, Tier.DEVICE)
        if gpu is not None and not gpu.node.stores(name):
            seconds += self._move_s(gpu, function, stage, Tier.REMOTE, Tier.SSD)
        return seconds

    def _move_s(self, gpu: GpuView | None, function: Function, stage: str, source: Tier, to: Tier) -> float:
        at = self._at(gpu)
        key = (at, function, stage, source)
        seconds = self._moves.get(key)
        if seconds is None:
            if self._stages[stage].artifact is ArtifactKind.ADAPTER:
                loader, size_bytes, parts = self.adapter_loader, function.adapter.bytes, 1
            else:
                backbone = function.backbone
                loader, size_bytes, parts = self.loader, backbone.weights_bytes, backbone.tensor_parallel
            seconds = self._moves[key] = at.profile.load_s(size_bytes, (source, to), loader, at.node, parts)
        return seconds

    def stage_host_bytes(self, function: Function, stage: str) -> int:
        return self._stages[stage].host_bytes

    def _stage_bytes(self, function: Function) -> dict[str, int]:
        """Device bytes of each stage in the function's own process, on each of its GPUs."""
        sizes = {stage.name: stage.device_bytes for stage in self.profile.startup}
        for stage in self.profile.startup:
            if stage.artifact is ArtifactKind.BACKBONE:
                sizes[stage.name] = 0 if stage.name in self.shared_stages else function.backbone.shard.weights_bytes
            elif stage.artifact is ArtifactKind.ADAPTER:
                sizes[stage.name] = function.adapter_shard_bytes
        return sizes

    def own_bytes(self, function: Function, stage: str, parts: int = 1) -> int:
        """Device bytes of a stage in the function's own process, the shared backbone's not among them.

        Of one of so many parts: its part of what is loaded.
        """
        size_bytes = self._own_bytes[function][stage]
        return -(-size_bytes // parts) if self._stages[stage].moves else size_bytes

    def part_bytes(self, function: Function, parts: int) -> int | None:
        split = function.backbone.tensor_parallel > 1
        if self.one_for_all or self.shared_stages or split or self.profile.engine.pipeline is None:
            return None
        return sum(self.own_bytes(function, stage, parts) for stage in self.stages)

    def stage_device_bytes(self, function: Function, stage: str, gpu: GpuView | None = None) -> int:
        if stage in self.shared_stages and (gpu is None or function.backbone not in gpu.backbones):
            return self._shared_bytes[function.backbone]
        return self._own_bytes[function][stage]

    def backbone_process_bytes(self, backbone: Backbone) -> int:
        """Weights, and the context of the process that holds them (assumption: as large as a function's)."""
        context = sum(s.device_bytes for s in self.profile.startup if s.artifact is ArtifactKind.CONTEXT)
        return backbone.shard.weights_bytes + context

    def start_s(self, function: Function, done: Mapping[str, int], gpu: GpuView | None = None) -> float:
        return sum(self.stage_s(function, stage, gpu) for stage in self.stages if stage not in done)

    def start_bytes(self, function: Function, done: Mapping[str, int], gpu: GpuView) -> int:
        if self.one_for_all:
            return self._engine_bytes(function.backbone, done, gpu)
        own = self._own_bytes[function]
        size_bytes = self._all_bytes[function]
        for stage in done:
            size_bytes -= own[stage]
        for stage in self.shared_stages:
            if stage not in done and function.backbone not in gpu.backbones:
                size_bytes += self._shared_bytes[function.backbone]
        return size_bytes

    def missing_s(self, instance: InstanceView) -> float:
        function = instance.function
        if function is None:
            function = next(f for f in self._functions if f.backbone is instance.backbone)
        return self.start_s(function, instance.done, instance.gpu)

    # ------------------------------------------------------------------ an engine that serves many functions

    def engine_stage_bytes(self, backbone: Backbone, stage: Stage) -> int:
        """Device bytes of a start-up stage of an engine for all functions of ``backbone``: its adapters are slots."""
        if stage.artifact is ArtifactKind.BACKBONE:
            return backbone.shard.weights_bytes
        if stage.artifact is ArtifactKind.CONTEXT:
            step_tokens = self.profile.engine.batching.step_tokens or 0
            return stage.device_bytes + self.engine_model(backbone).activation_bytes(step_tokens)
        if stage.artifact is ArtifactKind.ADAPTER:
            return 0 if self._paged else self.slots_bytes(backbone)
        return stage.device_bytes

    def adapter_slots(self, backbone: Backbone) -> int:
        """Adapters that an engine can hold at once: all there are, where only their bytes bound them."""
        if self._paged:
            return sum(f.backbone is backbone for f in self._functions)
        return self.profile.engine.batching.max_loras or 1

    def slots_bytes(self, backbone: Backbone) -> int:
        """Device bytes of an engine's adapter slots, each as wide as the widest adapter."""
        widest = max(f.adapter_shard_bytes for f in self._functions if f.backbone is backbone)
        return (widest + self.profile.engine.lora.slot_bytes) * self.adapter_slots(backbone)

    def adapter_place_bytes(self, function: Function) -> int:
        """Device bytes of an adapter's place in an engine: a slot, or its own."""
        size_bytes = self._place_bytes.get(function)
        if size_bytes is None:
            size_bytes = function.adapter_shard_bytes
            if not self._paged:
                size_bytes = self.slots_bytes(function.backbone) // self.adapter_slots(function.backbone)
            self._place_bytes[function] = size_bytes
        return size_bytes

    def pool_adapter_bytes(self, function: Function) -> int:
        return function.adapter_shard_bytes if self._paged else 0

    @property
    def all_on_host(self) -> bool:
        """Whether an engine keeps every adapter it may serve in host memory from the start."""
        return self.profile.engine.batching.host_adapters == "all"

    @property
    def host_copies(self) -> int | None:
        """Adapters that a process keeps in host memory at most."""
        return self.profile.engine.batching.max_cpu_loras

    def _engine_bytes(self, backbone: Backbone, done: Mapping[str, int], gpu: GpuView) -> int:
        """What such an engine still takes on a GPU; its pool comes with its first stage."""
        missing = [stage for stage in self.profile.startup if stage.name not in done]
        pool_bytes = 0 if done else self.pool_bytes(backbone, gpu.capacity_bytes)
        return pool_bytes + sum(self.engine_stage_bytes(backbone, stage) for stage in missing)

    def pool_bytes(self, backbone: Backbone, capacity_bytes: int) -> int:
        """KV pool of such an engine on a GPU: the share it may use, less what its stages hold.

        Captured graphs lie outside that share, as in vLLM, as far as it leaves anything.
        """
        sizes = {stage: self.engine_stage_bytes(backbone, stage) for stage in self.profile.startup}
        graphs = sum(size for stage, size in sizes.items() if stage.artifact is ArtifactKind.KERNELS)
        usable = min(int(capacity_bytes * self.profile.engine.kv.usable_fraction), capacity_bytes - graphs)
        return usable + graphs - sum(sizes.values())

    # ------------------------------------------------------------------ requests

    def ttft_line(self, function: Function) -> tuple[float, float]:
        if function not in self._lines:
            self._lines[function] = fit_ttft_line(self.model(function), rank=function.rank)
        return self._lines[function]

    def prefill_s(self, function: Function, prompt_tokens: int, gpu: GpuView | None = None) -> float:
        model = self.model(function, gpu)
        return model.prefill_step_s(prompt_tokens, float(prompt_tokens * prompt_tokens), 1, 0, 0, 1, function.rank)

    def decode_s(self, at: InstanceView, batch: int, adapters: int, rank: int, context_tokens: int) -> float:
        model = self.model_of(at)
        return model.span_s(model.decode_line(batch, adapters, rank), context_tokens, batch, 1)

    def request_bytes(self, request: QueuedRequest) -> int:
        """KV under the system's rule; activations too where a process allocates them for each batch.

        A paged pool counts a request's last block as full, which bounds what paging wastes.
        """
        sizes = self._request_bytes.get(request.function) or self._bytes_of_requests(request.function)
        fixed_bytes, prompt_token_bytes, new_token_bytes = sizes
        return fixed_bytes + prompt_token_bytes * request.prompt_tokens + new_token_bytes * request.max_new_tokens

    def _bytes_of_requests(self, function: Function) -> tuple[int, int, int]:
        """What every request of the function holds, then per prompt token, then per token that it may produce."""
        kv_bytes = function.backbone.shard.kv_bytes_per_token
        if self.system.reserve == "prompt":
            sizes = kv_bytes * self.profile.engine.kv.block_tokens, kv_bytes, 0
        else:
            sizes = 0, kv_bytes + self.model(function).activation_bytes(1), kv_bytes
        self._request_bytes[function] = sizes
        return sizes

    def most_bytes(self, request: QueuedRequest) -> int:
        """Bytes it holds if it produces all the tokens it may."""
        if self.system.reserve == "prompt":
            per_token_bytes = request.function.backbone.shard.kv_bytes_per_token
            return self.request_bytes(request) + per_token_bytes * request.max_new_tokens
        return self.request_bytes(request)
