"""Segments of the simulated back-end: a step that may prefill, then decode steps, priced from sufficient statistics.

A running batch is its size, the sum of its contexts and the step at which each request ends; nothing is walked per
token (design law 10).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import nan
from typing import Protocol

import simpy

from simlora.backends.base import PrefillChunk, Progress
from simlora.backends.decoding import Decoding
from simlora.backends.gpu_clock import GpuClock, Run


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
    @property
    def switch_s(self) -> float: ...
    @property
    def assist_s(self) -> float: ...
    def host_s(self, batch: int, adapters: int = 0) -> float: ...
    def prefill_host_s(self, requests: int) -> float: ...


class SimulatedRun:
    """One run on a GPU's clock: implements :class:`simlora.backends.base.RunTask` and a clock's ``Segment``."""

    __slots__ = (
        "_adapters",
        "_batch",
        "_clock",
        "_context_tokens",
        "_count",
        "_decoding",
        "_first_s",
        "_line",
        "_model",
        "_prefill",
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
        model: StepModel,
        decoding: Decoding,
        prefill: Sequence[PrefillChunk],
        at_most: int,
        adapters: int,
        rank: int,
        assisted: bool = False,
    ):
        self.done = env.event()
        self._decoding = decoding
        self._adapters = adapters
        self._share: float | None = None
        self._model = model
        self._prefill = prefill
        self._prefills = bool(prefill)
        self._started = len([chunk for chunk in prefill if not chunk.past])
        self._first_s = 0.0
        self._batch, self._context_tokens = len(decoding.ends), decoding.context_tokens
        steps = decoding.steps_ahead(prefill)
        if prefill:
            self._first_s = _prefill_step_s(model, decoding, prefill, adapters, rank)
            if self._started < len(prefill):
                self._first_s -= model.prefill_host_s(len(prefill)) - model.prefill_host_s(self._started)
            self._joins()
        self._line = model.decode_line(self._batch, adapters, rank) if steps > self._prefills else (0.0, 0.0)
        if assisted:
            self._first_s += model.assist_s if prefill else 0.0
            self._line = self._line[0] + model.assist_s, self._line[1]
        self.steps = max(1, min(at_most, steps))

    def _joins(self) -> None:
        """The batch that decodes after the prefilling step."""
        if not self._decoding.prefill_alone:
            self._context_tokens += self._batch
        for chunk in self._prefill:
            if chunk.last:
                self._context_tokens += chunk.request.prompt_tokens + 1
                self._batch += 1

    @property
    def gpu_share(self) -> float:
        """Of its mean step as planned."""
        if self._share is None:
            model = self._model
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
        span_s = self._model.span_s(self._line, self._context_tokens, self._batch, decode_steps)
        return self._first_s + span_s

    def steps_within(self, seconds: float) -> int:
        """The largest k with S(k) <= seconds."""
        if seconds < self._first_s or self.steps == self._prefills:
            return 0
        left_s = seconds - self._first_s
        decoded = self._model.steps_within(self._line, self._context_tokens, self._batch, left_s)
        return decoded + self._prefills

    def start(self, clock: GpuClock, count: Callable[[int], None]) -> None:
        """On the GPU now."""
        self._clock, self._count = clock, count
        self._run: Run = clock.start(self)

    def stop(self) -> None:
        self._clock.stop(self._run)

    def abandon(self) -> None:
        self._clock.abandon(self._run)

    def ended(self, first_step_s: float) -> None:
        """The clock calls when the last step is over."""
        self._count(self.steps)
        first_token_s = first_step_s if self._prefills else nan
        finished = self._decoding.stepped(self._prefill, self.steps)
        self.done.succeed(Progress(self.steps, finished, first_token_s))


def _prefill_step_s(
    model: StepModel, decoding: Decoding, prefill: Sequence[PrefillChunk], adapters: int, rank: int
) -> float:
    tokens, squares, whole = 0, 0.0, True
    for chunk in prefill:
        tokens += chunk.tokens
        squares += chunk.tokens * (chunk.tokens + 2 * chunk.past)
        whole = whole and chunk.last and not chunk.past
    if whole and len(prefill) > 1:
        tokens, squares = model.prefill_load([chunk.tokens for chunk in prefill])
    batch, context_tokens = (0, 0) if decoding.prefill_alone else (len(decoding.ends), decoding.context_tokens)
    return model.prefill_step_s(tokens, squares, len(prefill), batch, context_tokens, adapters, rank)
