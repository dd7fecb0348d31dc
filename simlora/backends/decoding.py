"""The decoding part of a running batch: who ends when, in steps; the same for every back-end.

A running batch is its size, the sum of its contexts and the step at which each request ends; nothing is walked per
token (design law 10).
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heappop, heappush

from simlora.backends.base import PrefillChunk
from simlora.entities import Function, QueuedRequest


class Decoding:
    """The decoding part of one instance's running batch.

    ``clock`` counts its decode steps; ``ends`` is a heap of (clock at which a request has all tokens, its index, the
    request, its context less the clock). ``paused`` are entries of those that take no part for now, with what is left
    and the whole context. ``produced`` remembers the tokens of requests that left before their end, wherever they go
    on. With ``prefill_alone`` a step that prefills decodes nothing.
    """

    __slots__ = ("as_one", "clock", "context_tokens", "ends", "output_tokens", "paused", "prefill_alone", "produced")

    def __init__(
        self, output_tokens: Sequence[int], as_one: bool, produced: dict[int, int], prefill_alone: bool = False
    ):
        self.output_tokens = output_tokens
        self.prefill_alone = prefill_alone
        self.as_one = as_one
        self.clock = 0
        self.context_tokens = 0
        self.ends: list[tuple[int, int, QueuedRequest, int]] = []
        self.paused: list[tuple[int, int, QueuedRequest, int]] = []
        self.produced = produced

    def serve_only(self, function: Function | None) -> None:
        """From now on only requests of ``function`` take steps (``None``: all do)."""
        clock = self.clock
        everyone = self.paused + [(end - clock, i, request, base + clock) for end, i, request, base in self.ends]
        self.paused = [entry for entry in everyone if function is not None and entry[2].function is not function]
        going = [entry for entry in everyone if function is None or entry[2].function is function]
        self.ends = [(clock + left, index, request, tokens - clock) for left, index, request, tokens in going]
        heapify(self.ends)
        self.context_tokens = sum(tokens for _, _, _, tokens in going)

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
        for paused in self.paused:
            if paused[2] is request:
                self.paused.remove(paused)
                self.produced[request.index] = self.output_tokens[request.index] - paused[0]
                return
        entry = next(entry for entry in self.ends if entry[2] is request)
        self.ends.remove(entry)
        heapify(self.ends)
        self.produced[request.index] = self.output_tokens[request.index] - (entry[0] - self.clock)
        self.context_tokens -= entry[3] + self.clock

    def steps_ahead(self, prefill: Sequence[PrefillChunk]) -> int:
        """Steps until a request ends (or all have where a batch ends as one), the first of which prefills these."""
        first = int(bool(prefill))
        left = self.next_end() - (first and not self.prefill_alone) if self.ends else None
        for chunk in prefill:
            if chunk.last:
                mine = self.left_after_prefill(chunk.request)
                if left is None or (mine > left if self.as_one else mine < left):
                    left = mine
        return max(0, left or 0) + first

    def stepped(self, prefill: Sequence[PrefillChunk], steps: int) -> list[QueuedRequest]:
        """``steps`` steps are done, the first of which prefilled these; the requests that have all their tokens now."""
        if prefill:
            if not self.prefill_alone:
                self.step(1)
            for chunk in prefill:
                if chunk.last:
                    self.join(chunk.request)
            steps -= 1
        if steps:
            self.step(steps)
        return self.take_finished()
