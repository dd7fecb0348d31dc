"""Segments of the simulated back-end: a step that may prefill, then decode steps, priced from sufficient statistics.

A running batch is its size, the sum of its contexts and the step at which each request ends; nothing is walked per
token (design law 10).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heapify, heappop, heappush
from math import nan
from typing import Protocol

import simpy

from simlora.backends.base import PrefillChunk, Progress
from simlora.backends.gpu_clock import GpuClock, Run
from simlora.entities import QueuedRequest


class StepModel(Protocol):
    """Solo seconds of engine steps; :class:`simlora.latency.ModelLatency` is one."""

    def prefill_load(self, prompt_tokens: Sequence[int]) -> tuple[int, float]: ...
    def prefill_step_s(
        self,
        new_tokens: int,
        new_tokens_sq: float,
        prefill_requests: int,
        decode_batch: int,
        decode_context_tokens: int,
        adapters: int,
        rank: int,
    ) -> float: ...
    def decode_line(self, batch: int, adapters: int, rank: int) -> tuple[float, float]: ...
    def span_s(self, line: tuple[float, float], context_tokens: int, batch: int, steps: int) -> float: ...
    def steps_within(self, line: tuple[float, float], context_tokens: int, batch: int, seconds: float) -> int: ...
    def host_s(self, batch: int, adapters: int = 0) -> float: ...
    def prefill_host_s(self, requests: int) -> float: ...


class Decoding:
    """The decoding part of one instance's running batch.

    ``clock`` counts its decode steps; ``ends`` is a heap of (clock at which a request has all tokens, its index, the
    request, its context less the clock). ``produced`` remembers the tokens of requests that left before their end.
    """

    __slots__ = ("as_one", "clock", "context_tokens", "ends", "model", "output_tokens", "produced")

    def __init__(self, model: StepModel, output_tokens: Sequence[int], as_one: bool):
        self.model = model
        self.output_tokens = output_tokens
        self.as_one = as_one
        self.clock = 0
        self.context_tokens = 0
        self.ends: list[tuple[int, int, QueuedRequest, int]] = []
        self.produced: dict[int, int] = {}

    def left_after_prefill(self, request: QueuedRequest) -> int:
        """Tokens it will still produce once its prefill has yielded one."""
        return self.output_tokens[request.index] - self.produced.get(request.index, 0) - 1

    def join(self, request: QueuedRequest) -> None:
        """Its prefill is over; a prompt that came back holds what was produced before."""
        context_tokens = request.prompt_tokens + 1
        end = self.clock + self.left_after_prefill(request)
        heappush(self.ends, (end, request.index, request, context_tokens - self.clock))
        self.context_tokens += context_tokens

    def step(self, steps: int) -> None:
        """``steps`` decode steps of all who have joined."""
        self.clock += steps
        self.context_tokens += steps * len(self.ends)

    def next_end(self) -> int:
        """Decode steps until a request ends, or until all have where a batch ends as one."""
        last = max(self.ends)[0] if self.as_one else self.ends[0][0]
        return last - self.clock

    def take_finished(self) -> list[QueuedRequest]:
        """The requests that have all their tokens, which leave; none before all have where a batch ends as one."""
        finished: list[QueuedRequest] = []
        if self.ends and self.next_end() <= 0:
            while self.ends and self.ends[0][0] <= self.clock:
                _, _, request, base = heappop(self.ends)
                self.context_tokens -= base + self.clock
                finished.append(request)
        return finished

    def leave(self, request: QueuedRequest) -> None:
        """It is taken out before its end; its tokens so far count when it comes back."""
        entry = next(entry for entry in self.ends if entry[2] is request)
        self.ends.remove(entry)
        heapify(self.ends)
        self.produced[request.index] = self.output_tokens[request.index] - (entry[0] - self.clock)
        self.context_tokens -= entry[3] + self.clock


class SimulatedRun:
    """One run on a GPU's clock: implements :class:`simlora.backends.base.Task` and a clock's ``Segment``."""

    __slots__ = (
        "_adapters",
        "_batch",
        "_clock",
        "_context_tokens",
        "_count",
        "_decoding",
        "_first_s",
        "_joining",
        "_line",
        "_prefills",
        "_run",
        "_share",
        "_started",
        "done",
        "steps",
    )

    def __init__(
        self,
        env: simpy.Environment,
        decoding: Decoding,
        prefill: Sequence[PrefillChunk],
        at_most: int,
        adapters: int,
        rank: int,
    ):
        self.done = env.event()
        self._decoding = decoding
        self._adapters = adapters
        self._share: float | None = None
        self._joining = [chunk.request for chunk in prefill if chunk.last]
        self._prefills = bool(prefill)
        self._started = len([chunk for chunk in prefill if not chunk.past])
        self._first_s = 0.0
        self._batch, self._context_tokens = len(decoding.ends), decoding.context_tokens
        if prefill:
            self._first_s = _prefill_step_s(decoding, prefill, adapters, rank)
            if self._started < len(prefill):
                host_s = decoding.model.prefill_host_s
                self._first_s -= host_s(len(prefill)) - host_s(self._started)
        decode_steps = self._look_ahead()
        self._line = decoding.model.decode_line(self._batch, adapters, rank) if decode_steps else (0.0, 0.0)
        self.steps = max(1, min(at_most, decode_steps + self._prefills))

    def _look_ahead(self) -> int:
        """Decode steps after the prefilling one until the next end; sets the batch that takes them."""
        decoding, first = self._decoding, int(self._prefills)
        left = decoding.next_end() - first if decoding.ends else None
        if self._prefills:
            self._context_tokens += self._batch
        for request in self._joining:
            mine = decoding.left_after_prefill(request)
            self._context_tokens += request.prompt_tokens + 1
            if left is None or (mine > left if decoding.as_one else mine < left):
                left = mine
        self._batch += len(self._joining)
        return max(0, left or 0)

    @property
    def gpu_share(self) -> float:
        """Of its mean step as planned."""
        if self._share is None:
            model = self._decoding.model
            host_s = model.host_s(max(1, self._batch), self._adapters) * self.steps
            host_s += model.prefill_host_s(self._started)
            solo_s = self.solo_s(self.steps)
            self._share = max(0.0, 1.0 - host_s / solo_s) if solo_s > 0 else 1.0
        return self._share

    def solo_s(self, steps: int) -> float:
        """S(steps)."""
        decode_steps = steps - self._prefills
        if not decode_steps:
            return self._first_s
        span_s = self._decoding.model.span_s(self._line, self._context_tokens, self._batch, decode_steps)
        return self._first_s + span_s

    def steps_within(self, seconds: float) -> int:
        """The largest k with S(k) <= seconds."""
        if seconds < self._first_s or self.steps == self._prefills:
            return 0
        left_s = seconds - self._first_s
        decoded = self._decoding.model.steps_within(self._line, self._context_tokens, self._batch, left_s)
        return decoded + self._prefills

    def start(self, clock: GpuClock, count: Callable[[int], None]) -> None:
        """On the GPU now."""
        self._clock, self._count = clock, count
        self._run: Run = clock.start(self)

    def stop(self) -> None:
        self._clock.stop(self._run)

    def ended(self, first_step_s: float) -> None:
        """The clock calls when the last step is over."""
        decoding = self._decoding
        if self._prefills:
            decoding.step(1)
            for request in self._joining:
                decoding.join(request)
        decode_steps = self.steps - self._prefills
        if decode_steps:
            decoding.step(decode_steps)
        self._count(self.steps)
        first_token_s = first_step_s if self._prefills else nan
        self.done.succeed(Progress(self.steps, decoding.take_finished(), first_token_s))


def _prefill_step_s(decoding: Decoding, prefill: Sequence[PrefillChunk], adapters: int, rank: int) -> float:
    model = decoding.model
    tokens, squares, whole = 0, 0.0, True
    for chunk in prefill:
        tokens += chunk.tokens
        squares += chunk.tokens * (chunk.tokens + 2 * chunk.past)
        whole = whole and chunk.last and not chunk.past
    if whole and len(prefill) > 1:
        tokens, squares = model.prefill_load([chunk.tokens for chunk in prefill])
    batch, context_tokens = len(decoding.ends), decoding.context_tokens
    return model.prefill_step_s(tokens, squares, len(prefill), batch, context_tokens, adapters, rank)
