"""Batching by weighted queues: requests of like size wait in one line, and each line has its share of memory."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from simlora.actions import Dispatch, Wait
from simlora.entities import Function, QueuedRequest
from simlora.policies.base import PolicyContext, Predictor
from simlora.policies.batching.admission import WAIT, steps_since_try
from simlora.policies.clusters import cut_offs
from simlora.policies.estimates import Estimates
from simlora.policies.registry import register
from simlora.views import ClusterView, InstanceView, ReadyQueues, pinned_adapters


class Seen(NamedTuple):
    """A request as it was when it came."""

    arrived_s: float
    prompt_tokens: int
    output_tokens: int
    adapter_bytes: int


class Line(NamedTuple):
    """Requests of like weight: how many came a second, and their mean tokens, in all and to produce."""

    rate_per_s: float
    tokens: float
    output_tokens: float


class Lines:
    """The lines of one engine: what has come, where weights part, and what each line is like."""

    def __init__(self, kept: int) -> None:
        self.seen: deque[Seen] = deque(maxlen=kept)
        self.newest = -1
        self.period = 0
        self.cuts: list[float] = []
        self.lines: list[Line] = [Line(0.0, 1.0, 1.0)]
        self._most = Seen(0.0, 1, 1, 1)

    def note(self, request: QueuedRequest, output_tokens: int) -> None:
        """Remember a request that was not seen before."""
        if request.index > self.newest:
            self.newest = request.index
            one = Seen(request.arrived_s, request.prompt_tokens, output_tokens, request.function.adapter.bytes)
            self.seen.append(one)
            self._most = Seen(0.0, *(max(pair) for pair in zip(self._most[1:], one[1:], strict=True)))

    def weight(self, one: Seen) -> float:
        """0.4 of its prompt and 0.6 of its output, times its adapter, each as a share of the largest seen."""
        length = 0.4 * one.prompt_tokens / self._most.prompt_tokens + 0.6 * one.output_tokens / self._most.output_tokens
        return length * one.adapter_bytes / self._most.adapter_bytes

    def line_of(self, request: QueuedRequest, output_tokens: int) -> int:
        """Which line a request belongs to, the lightest first."""
        one = Seen(request.arrived_s, request.prompt_tokens, output_tokens, request.function.adapter.bytes)
        return bisect_left(self.cuts, self.weight(one))

    def part(self, period: int, period_s: float, most: int, explained: float, rounds: int) -> None:
        """A new period: lines anew, from what came in the one before."""
        self.period = period
        recent = [one for one in self.seen if one.arrived_s >= (period - 1) * period_s]
        if not recent:
            return
        self.cuts = cut_offs([self.weight(one) for one in recent], most, explained, rounds)
        self.lines = []
        for number in range(len(self.cuts) + 1):
            own = [one for one in recent if bisect_left(self.cuts, self.weight(one)) == number]
            count = max(len(own), 1)
            tokens = sum(one.prompt_tokens + one.output_tokens for one in own) / count
            self.lines.append(Line(len(own) / period_s, tokens, sum(one.output_tokens for one in own) / count))


@register("batching", "weighted-queues")
@dataclass
class WeightedQueues:
    """Up to ``lines`` queues by weighted size, the lightest served first, each within its quota of memory.

    Every ``period_s`` the weights of the requests of the last period are parted by k-means. A queue's quota is S x D x
    (1 / SLO + rate) tokens, mean tokens and seconds of its requests, and its part of what is left; if there is less
    memory, its part of that. First each queue spends its quota on those who came first in it, the lightest queue first;
    then what others left over. Where the first of a queue must wait for memory, one behind it goes ahead if it will
    have ended by then. Newcomers are tried every ``try_every_steps`` decode steps, as in S-LoRA, on which it is built.
    With ``prefetch`` adapters of those that wait are loaded into memory that is free.

    Source: Chameleon (MICRO'25, arXiv 2411.17741): weights 0.4 and 0.6, at most 4 queues, 5 minutes, quotas of an M/M/1
    queue, the two phases, the bypass. Assumptions: as few queues as explain the share ``explained`` of the variance of
    the weights, those of the last ``kept_requests`` at most, each by at most ``rounds`` rounds of k-means; D is the
    mean output times a decode step of the present batch; SLO is the strictest first token promised; lengths are the
    predictor's; nobody who went ahead is ever sent back (the original does so with less than 5 %).
    """

    lines: int = 4
    try_every_steps: int = 10
    period_s: float = 300.0
    prefetch: bool = True
    explained: float = 0.9
    kept_requests: int = 1000
    rounds: int = 50
    _estimates: Estimates = field(init=False, repr=False, compare=False)
    _predictor: Predictor = field(init=False, repr=False, compare=False)
    _functions: Sequence[Function] = field(init=False, repr=False, compare=False)
    _engines: dict[int, Lines] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        for key in ("lines", "try_every_steps", "kept_requests", "rounds"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key} must be at least 1 (found {getattr(self, key)})")
        if not self.period_s > 0:
            raise ValueError(f"period_s must be more than 0 (found {self.period_s})")
        if not 0 <= self.explained <= 1:
            raise ValueError(f"explained must be from 0 to 1 (found {self.explained})")

    def bind(self, context: PolicyContext) -> None:
        self._estimates = context.estimates
        self._predictor = context.predictor
        self._functions = context.functions

    def next_batch(self, at: InstanceView | None, ready: ReadyQueues, view: ClusterView) -> Dispatch | Wait:
        if not len(ready):
            return WAIT
        if at is None:
            return Dispatch([min((queue[0] for queue in ready.by_function.values()), key=lambda r: r.index)])
        if since := steps_since_try(at, self.try_every_steps):
            return Dispatch((), ask_again_after_steps=self.try_every_steps - since)
        lines = self._engines.setdefault(at.id, Lines(self.kept_requests))
        for request in ready.in_order():
            lines.note(request, self._predictor.output_tokens(request))
        period = int(view.now_s // self.period_s)
        if period != lines.period:
            lines.part(period, self.period_s, self.lines, self.explained, self.rounds)
        waiting: list[list[QueuedRequest]] = [[] for _ in lines.lines]
        for request in ready.in_order():
            waiting[lines.line_of(request, self._predictor.output_tokens(request))].append(request)
        room = Room(at, self._estimates, self._predictor)
        admitted = self._admit(at, lines, waiting, room)
        load = room.ahead(ready.in_order(), self.kept_requests) if self.prefetch and at.running else []
        if not admitted and not at.running:
            return WAIT
        return Dispatch(admitted, ask_again_after_steps=self.try_every_steps + bool(admitted), load=load)

    def _admit(
        self, at: InstanceView, lines: Lines, waiting: list[list[QueuedRequest]], room: Room
    ) -> list[QueuedRequest]:
        left = self._quotas(at, lines, room.tokens)
        for running in at.running.values():
            request = running.request
            left[lines.line_of(request, self._predictor.output_tokens(request))] -= room.size(request)
        admitted: list[QueuedRequest] = []
        for number, queue in enumerate(waiting):
            for request in list(self._in_turn(queue, room)):
                if room.size(request) > left[number] or not room.take(request):
                    continue
                left[number] -= room.size(request)
                queue.remove(request)
                admitted.append(request)
        over = sum(max(0.0, quota) for quota in left)
        for queue in waiting:
            for request in list(self._in_turn(queue, room)):
                alone = not (at.running or admitted)
                if (room.size(request) <= over or alone) and room.take(request):
                    over -= room.size(request)
                    admitted.append(request)
        return admitted

    @staticmethod
    def _in_turn(queue: list[QueuedRequest], room: Room) -> Iterator[QueuedRequest]:
        """Those who came first; behind one that must wait for memory only who will have ended before it is free."""
        wait_steps: float | None = None
        for request in queue:
            if wait_steps is None:
                yield request
                if not room.has(request):
                    wait_steps = room.wait_steps(request)
            elif room.output_tokens(request) < wait_steps:
                yield request

    def _quotas(self, at: InstanceView, lines: Lines, tokens: int) -> list[float]:
        """Tokens of memory that the requests of each line may hold."""
        running = at.running.values()
        rank = max((one.request.function.rank for one in running), default=self._functions[0].rank)
        context_tokens = sum(one.context_tokens for one in running)
        adapters = len(dict.fromkeys(one.request.function for one in running))
        step_s = self._estimates.decode_s(at, max(1, len(running)), max(1, adapters), rank, context_tokens)
        slo_s = min(function.slo_ttft_s for function in self._functions)
        wanted = [line.tokens * line.output_tokens * step_s * (1 / slo_s + line.rate_per_s) for line in lines.lines]
        return [tokens * one / sum(wanted) for one in wanted] if sum(wanted) else [float(tokens)] * len(wanted)


class Room:
    """The memory of an engine while a batch is drawn up."""

    def __init__(self, at: InstanceView, estimates: Estimates, predictor: Predictor):
        self._at = at
        self._estimates = estimates
        self.output_tokens = predictor.output_tokens
        self._pinned = pinned_adapters(at)
        self._free_bytes = at.kv_free_bytes
        self._per_token = at.backbone.kv_bytes_per_token
        held = sum(one.context_tokens for one in at.running.values())
        self.tokens = held + at.kv_free_bytes // self._per_token

    def size(self, request: QueuedRequest) -> int:
        """Tokens that it will hold at its end."""
        return request.prompt_tokens + self.output_tokens(request)

    def _bytes(self, request: QueuedRequest) -> int:
        new_bytes = 0 if request.function in self._pinned else self._estimates.pool_adapter_bytes(request.function)
        return self._estimates.request_bytes(request) + new_bytes

    def has(self, request: QueuedRequest) -> bool:
        """Whether it fits now."""
        slot = request.function in self._pinned or len(self._pinned) < self._at.adapter_slots
        return slot and self._bytes(request) <= self._free_bytes

    def take(self, request: QueuedRequest) -> bool:
        """Set its memory aside; False if it does not fit."""
        if not self.has(request):
            return False
        self._free_bytes -= self._bytes(request)
        self._pinned[request.function] = None
        return True

    def wait_steps(self, request: QueuedRequest) -> float:
        """Decode steps until running requests have freed what it lacks, if they produce what is predicted."""
        lacking = self._bytes(request) - self._free_bytes
        steps = 0.0
        ends = (
            (self._left(one.request, one.context_tokens), one.request.index, one.context_tokens)
            for one in self._at.running.values()
        )
        for left, _, context_tokens in sorted(ends):
            if lacking <= 0:
                break
            steps = left
            lacking -= (context_tokens + left) * self._per_token
        return steps

    def _left(self, request: QueuedRequest, context_tokens: int) -> int:
        return max(1, request.prompt_tokens + self.output_tokens(request) - context_tokens)

    def ahead(self, waiting: Iterator[QueuedRequest], most: int) -> list[Function]:
        """Of the first ``most`` adapters of those that wait which are not there, as far as memory is free as it is."""
        at, size_of = self._at, self._estimates.pool_adapter_bytes
        unused = [function for function in at.adapters if function not in self._pinned]
        free_bytes, slots = self._free_bytes - sum(map(size_of, unused)), at.adapter_slots - len(at.adapters)
        slots -= sum(function not in at.adapters for function in self._pinned)
        wanted = dict.fromkeys(request.function for request in waiting)
        load: list[Function] = []
        for function in islice(wanted, most):
            absent = function not in at.adapters and function not in self._pinned
            if absent and len(load) < slots and size_of(function) <= free_bytes:
                load.append(function)
                free_bytes -= size_of(function)
        return load
