"""Seconds of engine steps of one backbone on one GPU, or split over several, under one engine.

A decode step costs ``a + c * (sum of contexts)``, so n of them, each adding one token per sequence, cost a quadratic
in n with an exact inverse: whole segments are priced without walking through their steps. Everything here is scalar
Python; what depends only on the make-up of the batch is computed once and kept.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from math import sqrt

from simlora.entities import PROJECTIONS, Backbone
from simlora.errors import ConfigError
from simlora.latency.curve import Curve
from simlora.latency.engines import EngineProfile
from simlora.latency.kernels import KernelProfile

Line = tuple[float, float]

NORM_PASSES = 4  # a residual norm reads the residual and the branch and writes both, twice a layer
ACTIVATION_PASSES = 3  # SwiGLU reads gate and up, writes one
LOGIT_BYTES = 4  # engines sample in fp32
SUMS = 2  # over all GPUs, per layer of a split backbone


class OutOfRange:
    """Calls that asked beyond the measured range, by part; each part warns once."""

    __slots__ = ("decode", "prefill", "where")

    def __init__(self, where: str):
        self.where = where
        self.prefill = 0
        self.decode = 0

    def tick_prefill(self, tokens: int, limit: int) -> None:
        if not self.prefill:
            warnings.warn(f"{self.where}: prefill of {tokens} tokens, measured up to {limit}", stacklevel=3)
        self.prefill += 1

    def tick_decode(self, what: str, value: int, limit: int) -> None:
        if not self.decode:
            warnings.warn(f"{self.where}: decode with {what} {value}, measured up to {limit}", stacklevel=3)
        self.decode += 1


class ModelLatency:
    """The clock of one backbone under one engine, on one GPU or split over several of one node.

    All times in seconds, all sizes in bytes on each GPU.
    """

    __slots__ = (
        "_context_s",
        "_decode_attention_row_s",
        "_decode_attention_s",
        "_dispatch_s",
        "_elementwise_row_s",
        "_elementwise_s",
        "_head_row_s",
        "_head_s",
        "_host_adapter_s",
        "_host_lora_s",
        "_host_lora_sequence_s",
        "_host_lora_token_s",
        "_host_s",
        "_host_sequence_s",
        "_layers_s",
        "_linear_row_s",
        "_linear_s",
        "_lines",
        "_lora_kernel",
        "_max_batch",
        "_max_context_tokens",
        "_max_prefill_tokens",
        "_pair_s",
        "_prefill_attention",
        "_qkvo_bytes",
        "_request_s",
        "adapter_slots",
        "assist_s",
        "backbone",
        "engine",
        "kv_bytes_per_token",
        "name",
        "out_of_range",
        "shard",
        "switch_s",
        "weights_bytes",
    )

    def __init__(
        self,
        backbone: Backbone,
        kernels: KernelProfile,
        engine: EngineProfile,
        target_modules: tuple[str, ...] = PROJECTIONS,
        adapter_slots: int | None = None,
    ):
        self.name = f"{backbone.name} on {kernels.name} under {engine.name}"
        self.backbone = backbone
        self.engine = engine
        self.shard = backbone.shard
        self.kv_bytes_per_token = backbone.shard.kv_bytes_per_token
        self.weights_bytes = backbone.shard.weights_bytes
        self.adapter_slots = adapter_slots or engine.batching.max_loras or 1
        self.out_of_range = OutOfRange(self.name)
        self._lines: dict[tuple[int, int, int], Line] = {}
        self._max_batch = kernels.max_batch
        self._max_prefill_tokens = kernels.max_prefill_tokens
        self._max_context_tokens = kernels.decode_attention.max_context_tokens
        self._set_host(engine)
        self._set_linear(kernels)
        self._set_attention(kernels)
        self._set_elementwise(kernels)
        self._set_lora(kernels, target_modules)

    def _set_host(self, engine: EngineProfile) -> None:
        host, lora, prefill = engine.host, engine.lora, engine.prefill_host
        self._host_s = host.step_s + host.layer_s * self.backbone.layers
        self._host_sequence_s = host.sequence_s
        self._host_lora_s = lora.step_s + lora.slot_s * self.adapter_slots - lora.adapter_s
        self._host_adapter_s = lora.adapter_s
        self._host_lora_sequence_s = lora.sequence_s
        self._host_lora_token_s = lora.token_s
        self.switch_s = lora.switch_s
        self.assist_s = lora.assist_layer_s * self.backbone.layers
        self._dispatch_s = prefill.dispatch_s
        self._request_s = prefill.request_s

    def _set_linear(self, kernels: KernelProfile) -> None:
        b, fitted = self.shard, kernels.linear
        shapes = b.projections().values()
        self._layers_s = Curve(fitted.knots, fitted.values, b.layers * sum(k * n for k, n in shapes))
        if self.backbone.tensor_parallel > 1:
            self._layers_s = self._layers_s.plus(self._sums_s(kernels))
        self._head_s = Curve(fitted.knots, fitted.values, b.hidden * b.vocab)
        self._head_row_s = (b.hidden + b.vocab) * fitted.row_s
        depths = b.layers * sum(k for k, _ in shapes) + b.hidden
        self._linear_s = (b.layers * len(shapes) + 1) * fitted.launch_s + depths * fitted.depth_s
        self._linear_row_s = b.layers * fitted.row_s * sum(k + n for k, n in shapes)

    def _sums_s(self, kernels: KernelProfile) -> Curve:
        """Over tokens: the sums over all GPUs, of each layer one after attention and one after the projections."""
        b, fitted = self.backbone, kernels.all_reduce
        if fitted is None:
            raise ConfigError(f"{kernels.name} states no all_reduce, which {b.name} over several GPUs needs")
        row_bytes = b.hidden * b.param_bytes
        return Curve([knot / row_bytes for knot in fitted.knots], fitted.over(b.tensor_parallel), SUMS * b.layers)

    def _set_attention(self, kernels: KernelProfile) -> None:
        b, prefill = self.shard, kernels.prefill_attention
        self._prefill_attention = Curve(prefill.knots, prefill.values, b.layers)
        self._qkvo_bytes = 2 * (b.heads + b.kv_heads) * b.head_dim * b.param_bytes
        self._pair_s = b.layers * b.heads * kernels.prefill_attention.pair_s
        self._decode_attention_s = b.layers * kernels.decode_attention.launch_s
        self._context_s = b.kv_bytes_per_token / kernels.decode_attention.bytes_per_s
        self._decode_attention_row_s = self._context_s * kernels.decode_attention.sequence_tokens

    def _set_elementwise(self, kernels: KernelProfile) -> None:
        b = self.shard
        rotary = 2 * (b.heads + b.kv_heads) * b.head_dim
        elements = 2 * NORM_PASSES * b.hidden + ACTIVATION_PASSES * b.intermediate + rotary
        self._elementwise_s = b.layers * 4 * kernels.elementwise.launch_s
        self._elementwise_row_s = b.layers * elements * b.param_bytes / kernels.elementwise.bytes_per_s

    def _set_lora(self, kernels: KernelProfile, target_modules: tuple[str, ...]) -> None:
        shapes, fitted, layers = self.shard.projections(), kernels.lora, self.backbone.layers
        dims = layers * sum(sum(shapes[module]) for module in target_modules)
        self._lora_kernel = (
            2 * layers * len(target_modules) * fitted.launch_s,
            dims * fitted.weight_s,
            dims * fitted.product_s,
            dims * fitted.row_s,
        )

    # ------------------------------------------------------------------ parts of a step

    def host_s(self, batch: int, adapters: int = 0) -> float:
        """Host seconds of any step over ``batch`` sequences: the part in which the GPU is idle."""
        seconds = self._host_s + self._host_sequence_s * batch
        if adapters:
            seconds += self._host_lora_s + self._host_adapter_s * adapters + self._host_lora_sequence_s * batch
        return seconds

    def prefill_host_s(self, requests: int) -> float:
        """Host seconds that a step takes beyond those of any step for starting so many requests."""
        return self._dispatch_s + self._request_s * requests if requests else 0.0

    def linear_s(self, tokens: int, logits: int) -> float:
        """All projections over ``tokens`` rows, norms and activations, and the head over ``logits`` rows."""
        rows = self._layers_s(tokens) + self._linear_row_s * tokens + self._linear_s
        rows += self._head_s(logits) + self._head_row_s * logits
        return rows + self._elementwise_s + self._elementwise_row_s * tokens

    def lora_s(self, tokens: int, adapters: int, rank: int) -> float:
        """Kernels of unmerged LoRA over ``tokens`` rows at ``rank``; 0 without an adapter."""
        if not adapters:
            return 0.0
        launch, weight, product, row = self._lora_kernel
        return launch + rank * (weight + product * tokens) + row * tokens

    # ------------------------------------------------------------------ decode

    def decode_line(self, batch: int, adapters: int, rank: int) -> Line:
        """(a, c): a decode step of ``batch`` sequences costs a + c * (sum of their contexts), host time included."""
        line = self._lines.get((batch, adapters, rank))
        return line if line is not None else self._new_line(batch, adapters, rank)

    def _new_line(self, batch: int, adapters: int, rank: int) -> Line:
        a = self.host_s(batch, adapters) + self.linear_s(batch, batch) + self.lora_s(batch, adapters, rank)
        line = (a + self._decode_attention_s + self._decode_attention_row_s * batch, self._context_s)
        if batch > self._max_batch:
            self.out_of_range.tick_decode("batch", batch, self._max_batch)
        else:
            self._lines[batch, adapters, rank] = line
        return line

    def span_s(self, line: Line, context_tokens: int, batch: int, steps: int) -> float:
        """S(steps): ``steps`` decode steps that start with ``context_tokens`` in KV and add ``batch`` each."""
        if context_tokens > self._max_context_tokens:
            self.out_of_range.tick_decode("contexts of", context_tokens, self._max_context_tokens)
        a, c = line
        return steps * (a + c * context_tokens) + 0.5 * c * batch * steps * (steps - 1)

    def steps_within(self, line: Line, context_tokens: int, batch: int, seconds: float) -> int:
        """The largest k with span_s(k) <= seconds, in the very arithmetic of :meth:`span_s`."""
        if seconds <= 0:
            return 0
        a, c = line
        first, half = a + c * context_tokens, 0.5 * c * batch
        linear = first - half
        steps = int(2 * seconds / (linear + sqrt(linear * linear + 4 * half * seconds)))
        while steps and steps * first + half * steps * (steps - 1) > seconds:
            steps -= 1
        while (steps + 1) * first + half * (steps + 1) * steps <= seconds:
            steps += 1
        return steps

    # ------------------------------------------------------------------ prefill and mixed steps

    def prefill_step_s(
        self,
        new_tokens: int,
        new_tokens_sq: float,
        prefill_requests: int,
        decode_batch: int,
        decode_context_tokens: int,
        adapters: int,
        rank: int,
    ) -> float:
        """One step that prefills ``new_tokens`` of ``prefill_requests`` while ``decode_batch`` others decode.

        ``new_tokens_sq`` is the sum over the prefilled of n * (n + 2 past), n new tokens after ``past`` that are in KV
        already: twice the pairs that causal attention forms (n * n for a whole prompt). ``adapters`` counts the
        distinct ones of the whole step, ``rank`` is the largest. Host time included.
        """
        batch = prefill_requests + decode_batch
        tokens = new_tokens + decode_batch
        if tokens > self._max_prefill_tokens:
            self.out_of_range.tick_prefill(tokens, self._max_prefill_tokens)
        seconds = self.host_s(batch, adapters) + self.linear_s(tokens, batch) + self.lora_s(tokens, adapters, rank)
        if prefill_requests:
            seconds += self.prefill_host_s(prefill_requests)
            if adapters:
                seconds += self._host_lora_token_s * new_tokens
            seconds += self._prefill_attention(new_tokens * self._qkvo_bytes) + self._pair_s * new_tokens_sq
        if decode_batch:
            seconds += self._decode_attention_s + self._decode_attention_row_s * decode_batch
            seconds += self._context_s * decode_context_tokens
        return seconds

    def prefill_load(self, prompt_tokens: Sequence[int]) -> tuple[int, float]:
        """(new_tokens, new_tokens_sq) of a step that prefills these prompts whole, padded if the engine pads."""
        if self.engine.batching.padded:
            longest = max(prompt_tokens)
            return longest * len(prompt_tokens), float(longest * longest * len(prompt_tokens))
        return sum(prompt_tokens), float(sum(n * n for n in prompt_tokens))

    # ------------------------------------------------------------------ the stable public forms

    def prefill_s(self, prompt_tokens: Sequence[int], adapters: Sequence[int] = ()) -> float:
        """One step that prefills these prompts; ``adapters``: the ranks of the distinct adapters in use."""
        tokens, squares = self.prefill_load(prompt_tokens)
        return self.prefill_step_s(tokens, squares, len(prompt_tokens), 0, 0, len(adapters), max(adapters, default=0))

    def decode_step_s(self, context_tokens: Sequence[int], adapters: Sequence[int] = ()) -> float:
        """One decode step of sequences with these contexts; ``adapters``: the ranks of the distinct ones in use."""
        line = self.decode_line(len(context_tokens), len(adapters), max(adapters, default=0))
        return self.span_s(line, sum(context_tokens), len(context_tokens), 1)

    def activation_bytes(self, tokens: int) -> int:
        """Peak activations of a step over ``tokens`` rows: residual and normed hidden, gate and up, fp32 logits.

        Logits of every row, as ``forward`` of Hugging Face Transformers computes them (an upper bound elsewhere).
        """
        b = self.shard
        return tokens * (2 * b.param_bytes * (b.hidden + b.intermediate) + LOGIT_BYTES * b.vocab)
