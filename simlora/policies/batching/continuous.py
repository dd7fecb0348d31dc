"""Continuous batching of a serving engine that keeps one process for all adapters of a backbone."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

from simlora.actions import Dispatch, Wait
from simlora.entities import QueuedRequest
from simlora.policies.base import PolicyContext
from simlora.policies.batching.admission import WAIT
from simlora.policies.estimates import Estimates
from simlora.policies.registry import register
from simlora.views import ClusterView, InstanceView, ReadyQueues, pinned_adapters


@register("batching", "vllm")
@dataclass
class ContinuousBatching:
    """First come, first served into the running batch, while sequences, tokens and KV last.

    A request whose adapter would be one more than ``adapter_slots`` is passed over without holding up those behind it;
    a request whose KV does not fit ends the scan. A step takes at most ``chunk_tokens`` tokens: one for each running
    sequence, the rest for chunks of prompts. ``watermark`` is the share of the memory left by the weights that stays
    free, so that the batch can decode for a while before one must be preempted; an empty engine ignores it.

    Source: vLLM's scheduler with LoRA (max_num_seqs 256, watermark 0.01 of the KV blocks; skip rule of the LoRA scan).
    The token budget is an assumption: the engine's default varies with its version.
    """

    max_num_seqs: int = 256
    chunk_tokens: int = 2048
    watermark: float = 0.01
    _estimates: Estimates = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.max_num_seqs < 1:
            raise ValueError(f"max_num_seqs must be at least 1 (found {self.max_num_seqs})")
        if self.chunk_tokens < self.max_num_seqs:
            raise ValueError(f"chunk_tokens ({self.chunk_tokens}) must be at least max_num_seqs ({self.max_num_seqs})")
        if not 0 <= self.watermark < 1:
            raise ValueError(f"watermark must be at least 0 and less than 1 (found {self.watermark})")

    def bind(self, context: PolicyContext) -> None:
        self._estimates = context.estimates

    def next_batch(self, at: InstanceView | None, ready: ReadyQueues, view: ClusterView) -> Dispatch | Wait:
        if not len(ready):
            return WAIT
        if at is None:
            return Dispatch([min((queue[0] for queue in ready.by_function.values()), key=lambda r: r.index)])
        running = len(at.running)
        free_seqs = self.max_num_seqs - running
        if free_seqs <= 0:
            return WAIT
        prefill_tokens = at.prefill_tokens
        admitted, more = self._admit(at, ready, free_seqs, prefill_tokens, self.chunk_tokens - running)
        again = None
        if more:
            prefill_tokens += sum(request.prompt_tokens for request in admitted)
            again = max(1, prefill_tokens // max(1, self.chunk_tokens - running))
        if not admitted and again is None:
            return WAIT
        return Dispatch(admitted, chunk_tokens=self.chunk_tokens, ask_again_after_steps=again)

    def _admit(
        self, at: InstanceView, ready: ReadyQueues, free_seqs: int, prefill_tokens: int, step_tokens: int
    ) -> tuple[list[QueuedRequest], bool]:
        """The requests to admit, and whether only the token budget kept others out."""
        room_bytes = at.kv_free_bytes
        if at.running:
            room_bytes -= int(self.watermark * (at.gpu.capacity_bytes - at.backbone.shard.weights_bytes))
        active = pinned_adapters(at)
        full = len(active) >= at.adapter_slots
        heads = [
            (head.index, head, function, waiting)
            for function, queue in ready.by_function.items()
            if (function in active or not full) and (head := next(waiting := iter(queue), None))
        ]
        heapq.heapify(heads)
        admitted: list[QueuedRequest] = []
        while heads and len(admitted) < free_seqs:
            _, request, function, waiting = heads[0]
            if function not in active and len(active) >= at.adapter_slots:
                heapq.heappop(heads)
                continue
            room_bytes -= self._estimates.request_bytes(request)
            if function not in active:
                room_bytes -= self._estimates.pool_adapter_bytes(function)
            if room_bytes < 0:
                break
            if prefill_tokens >= step_tokens:
                return admitted, True
            admitted.append(request)
            active[function] = None
            prefill_tokens += request.prompt_tokens
            following = next(waiting, None)
            if following is None:
                heapq.heappop(heads)
            else:
                heapq.heapreplace(heads, (following.index, following, function, waiting))
        return admitted, False


@register("batching", "vllm-merged")
@dataclass
class MergedBatching(ContinuousBatching):
    """The same in processes of one function each, whose adapter is merged into the weights.

    Source: vLLM-packed of the S-LoRA and dLoRA evaluations, where each adapter is merged into a model of its own.
    """

    def next_batch(self, at: InstanceView | None, ready: ReadyQueues, view: ClusterView) -> Dispatch | Wait:
        decision = super().next_batch(at, ready, view)
        return decision._replace(merge=at.function) if at is not None and isinstance(decision, Dispatch) else decision
