"""Batching by memory look-ahead: who joins is decided by the most memory that the batch will ever want."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass, field

from simlora.actions import Dispatch, Wait
from simlora.entities import Function, QueuedRequest
from simlora.policies.base import PolicyContext, Predictor
from simlora.policies.batching.admission import WAIT, steps_since_try
from simlora.policies.estimates import Estimates
from simlora.policies.registry import register
from simlora.views import ClusterView, InstanceView, ReadyQueues, RunningRequest, pinned_adapters


class Ahead:
    """The tokens of KV that a batch will want at its fullest, if each request produces what is predicted.

    Requests in descending order of the tokens they still produce: when the k-th of them ends, it and those before it
    hold what they held at the start and as many tokens more each. The most over all k is what the batch must have.
    """

    def __init__(self, batch: Iterable[tuple[int, int]] = ()) -> None:
        """``batch``: tokens each holds now, and will produce."""
        self._left = sorted([(-left_tokens, context_tokens) for context_tokens, left_tokens in batch])

    def add(self, context_tokens: int, left_tokens: int) -> None:
        """One more request that holds so many tokens now and will produce so many more."""
        insort(self._left, (-left_tokens, context_tokens))

    def most_with(self, context_tokens: int, left_tokens: int) -> int:
        """The most tokens with one more request, which is not added."""
        added = (-left_tokens, context_tokens)
        most, held, placed = 0, 0, False
        for count, one in enumerate(self._left, 1):
            if not placed and added < one:
                held, placed = held + context_tokens, True
                most = max(most, held + left_tokens * count)
            held += one[1]
            if held - one[0] * (count + placed) > most:
                most = held - one[0] * (count + placed)
        if not placed:
            most = max(most, held + context_tokens + left_tokens * (len(self._left) + 1))
        return most


@register("batching", "memory-look-ahead")
@dataclass
class MemoryLookAhead:
    """First come, first served, as long as the batch fits memory until its last request ends; tried every few steps.

    While a batch decodes, newcomers are tried every ``try_every_steps`` decode steps, at once when nothing runs. A
    request joins if the most KV that the batch will ever want, and the adapters of all in it, fit the memory there is,
    the prompts of one try are at most ``prefill_share`` of it, and the batch at most ``max_requests``; the first that
    does not ends the try. With ``prefetch_steps`` the adapters of those that would join next are loaded beside the
    batch so many decode steps after a try, into memory that is free.

    Source: S-LoRA's router (github.com/S-LoRA/S-LoRA c1ddf48): max_wait_tokens 10, batch_max_tokens a sixth of the
    pool, running_max_req_size 1,000, prefetch after 5 and 7 steps as an option. How much a request will produce is the
    predictor's word; S-LoRA takes the most it may.
    """

    try_every_steps: int = 10
    prefill_share: float = 1 / 6
    max_requests: int = 1000
    prefetch_steps: tuple[int, ...] = ()
    _estimates: Estimates = field(init=False, repr=False, compare=False)
    _predictor: Predictor = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for key in ("try_every_steps", "max_requests"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key} must be at least 1 (found {getattr(self, key)})")
        if not 0 < self.prefill_share <= 1:
            raise ValueError(f"prefill_share must be more than 0 and at most 1 (found {self.prefill_share})")
        self.prefetch_steps = tuple(self.prefetch_steps)
        if not all(0 < steps < self.try_every_steps for steps in self.prefetch_steps):
            raise ValueError(f"prefetch_steps must lie between two tries (found {self.prefetch_steps})")

    def bind(self, context: PolicyContext) -> None:
        self._estimates = context.estimates
        self._predictor = context.predictor

    def next_batch(self, at: InstanceView | None, ready: ReadyQueues, view: ClusterView) -> Dispatch | Wait:
        if not len(ready):
            return WAIT
        if at is None:
            return Dispatch([min((queue[0] for queue in ready.by_function.values()), key=lambda r: r.index)])
        since = steps_since_try(at, self.try_every_steps)
        if since:
            load = self._ahead_of(at, self._fitting(at, ready)) if since in self.prefetch_steps else ()
            return Dispatch((), ask_again_after_steps=self._to_next(since), load=load)
        admitted = self._fitting(at, ready)
        if not admitted and not at.running:
            return WAIT
        return Dispatch(admitted, ask_again_after_steps=self._to_next(0) + bool(admitted))

    def _to_next(self, since: int) -> int:
        return min(steps for steps in (*self.prefetch_steps, self.try_every_steps) if steps > since) - since

    def _fitting(self, at: InstanceView, ready: ReadyQueues) -> list[QueuedRequest]:
        """The first of those that wait, as far as memory goes."""
        per_token = at.backbone.shard.kv_bytes_per_token
        batch = [self._state(running) for running in at.running.values()]
        ahead, held = Ahead(batch), sum([context_tokens for context_tokens, _ in batch])
        room = held + at.kv_free_bytes // per_token
        prefill_tokens, most_prefill = 0, max(int(room * self.prefill_share), 1)
        pinned = pinned_adapters(at)
        admitted: list[QueuedRequest] = []
        for request in ready.in_order():
            new_bytes = 0 if request.function in pinned else self._estimates.pool_adapter_bytes(request.function)
            prefill_tokens += request.prompt_tokens
            context_tokens, left_tokens = request.prompt_tokens + 1, self._predictor.output_tokens(request) - 1
            adapter_tokens = -(-new_bytes // per_token)
            if ahead.most_with(context_tokens, left_tokens) > room - adapter_tokens:
                break
            if (admitted and prefill_tokens > most_prefill) or len(at.running) + len(admitted) >= self.max_requests:
                break
            if len(pinned) >= at.adapter_slots and request.function not in pinned:
                break
            ahead.add(context_tokens, left_tokens)
            room -= adapter_tokens
            pinned[request.function] = None
            admitted.append(request)
        return admitted

    def _state(self, running: RunningRequest) -> tuple[int, int]:
        """Tokens it holds, prompt still to come included, and tokens it will still produce."""
        request = running.request
        prompt_tokens = request.prompt_tokens
        context_tokens = running.context_tokens
        if context_tokens <= prompt_tokens:
            context_tokens = prompt_tokens + 1
        left_tokens = self._predictor.output_tokens(request) - context_tokens + prompt_tokens
        return context_tokens, left_tokens if left_tokens > 0 else 0

    def _ahead_of(self, at: InstanceView, joining: Iterable[QueuedRequest]) -> list[Function]:
        """Adapters of those who would join that are not there, as far as memory is free without evicting any."""
        size_of, pinned = self._estimates.pool_adapter_bytes, pinned_adapters(at)
        unused = [function for function in at.adapters if function not in pinned]
        free_bytes = at.kv_free_bytes - sum(map(size_of, unused))
        slots = at.adapter_slots - len(at.adapters)
        load: list[Function] = []
        for function in dict.fromkeys(request.function for request in joining):
            if function not in at.adapters and len(load) < slots and size_of(function) <= free_bytes:
                load.append(function)
                free_bytes -= size_of(function)
        return load
