"""dLoRA's batching: one adapter merged into the weights while enough requests are of it; credits against starving."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice

from simlora.actions import Dispatch, Wait
from simlora.entities import Function, QueuedRequest
from simlora.policies.base import PolicyContext
from simlora.policies.batching.admission import WAIT, OfOne
from simlora.policies.batching.continuous import ContinuousBatching
from simlora.policies.registry import register
from simlora.views import ClusterView, InstanceView, ReadyQueues

CREDIT = 10_000.0
FALLS_SHORT_BY = 5_000.0


@dataclass(slots=True)
class _Engine:
    """What the policy keeps of an engine: credits, thresholds, and how the present mode has gone since it began.

    ``skipped`` are requests of the last batch that are passed over for ``favoured``, by function.
    """

    credits: dict[Function, float]
    right: float = 1.0
    left: float = 15 / 27
    in_credit: Function | None = None
    favoured: Function | None = None
    skipped: dict[Function, int] = field(default_factory=dict)
    served: int = 0
    merged: bool = False
    at_s: float = 0.0
    tokens: float = 0.0
    seconds: float = 0.0
    tokens_per_s: dict[bool, float] = field(default_factory=dict)


@register("batching", "dlora")
@dataclass
class CreditBatching(ContinuousBatching):
    """Among the first ``max_num_seqs`` requests, running or waiting, merge an adapter that most are of; else unmerged.

    A merged adapter stays while its share is at least ``left`` (15/27 at first); one whose share reaches ``right`` (1
    at first) is merged. When a mode is left, the threshold that led to it moves by its throughput against that of the
    other: right -0.05 or x 1.1, left +0.05 or / 1.1. Requests passed over by a merged batch earn their adapters credit
    from the favoured one, 1 / max_num_seqs a request and iteration, a merged one at 27/15 of that. An adapter in debt
    is not merged; one with 10,000 n of n adapters goes first, unmerged, until it is 5,000 below.

    Source: dLoRA (OSDI'24), github.com/LLMServe/dLoRA-artifact, its scheduler. Iterations and throughput are reckoned
    from time by the profiled ``merged_s`` and ``unmerged_s``, since a policy sees no steps; while requests are passed
    over it looks again every ``look_steps`` (assumption).
    """

    merged_s: float = 0.015
    unmerged_s: float = 0.027
    look_steps: int = 16
    _engines: dict[int, _Engine] = field(init=False, repr=False, compare=False, default_factory=dict)
    _functions: tuple[Function, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.merged_s <= self.unmerged_s < math.inf:
            found = f"found {self.merged_s} and {self.unmerged_s}"
            raise ValueError(f"merged_s must be more than 0 and at most unmerged_s, which is finite ({found})")
        if self.look_steps < 1:
            raise ValueError(f"look_steps must be at least 1 (found {self.look_steps})")

    def bind(self, context: PolicyContext) -> None:
        super().bind(context)
        self._functions = tuple(context.functions)

    def next_batch(self, at: InstanceView | None, ready: ReadyQueues, view: ClusterView) -> Dispatch | Wait:
        if at is None or at.function is not None:
            return super().next_batch(at, ready, view)
        engine = self._engine(at, view.now_s)
        self._settle(engine, view.now_s)
        counts = self._first_come(at, ready)
        starving = self._starving(engine)
        merge = None if starving is not None else self._to_merge(engine, at.merged, counts)
        first = merge if merge is not None else starving
        queues = ready
        if first is not None and (merge is not None or first in ready.by_function):
            queues = OfOne(first, ready.by_function.get(first))
        admitted, again = self._joining(at, queues)
        if merge is not None and not admitted and all(r.request.function is not merge for r in at.running.values()):
            merge, (admitted, again) = None, self._joining(at, ready)
        self._note(engine, at, merge, first, counts, len(admitted))
        if engine.skipped:
            again = min(again or self.look_steps, self.look_steps)
        if not admitted and merge is at.merged and (again is None or not at.running):
            return WAIT
        return Dispatch(admitted, chunk_tokens=self.chunk_tokens, ask_again_after_steps=again, merge=merge)

    def _joining(self, at: InstanceView, queues: ReadyQueues) -> tuple[list[QueuedRequest], int | None]:
        """Who joins, first come, first served, and after how many steps more can."""
        running = len(at.running)
        if not len(queues) or running >= self.max_num_seqs:
            return [], None
        prefill_tokens = at.prefill_tokens
        step_tokens = self.chunk_tokens - running
        admitted, more = self._admit(at, queues, self.max_num_seqs - running, prefill_tokens, step_tokens)
        prefill_tokens += sum(request.prompt_tokens for request in admitted)
        return admitted, max(1, prefill_tokens // max(1, step_tokens)) if more else None

    def _engine(self, at: InstanceView, now_s: float) -> _Engine:
        engine = self._engines.get(at.id)
        if engine is None:
            mine = [function for function in self._functions if function.backbone is at.backbone]
            share = CREDIT * (len(mine) - 1)
            engine = _Engine(dict.fromkeys(mine, share), left=self.merged_s / self.unmerged_s, at_s=now_s)
            self._engines[at.id] = engine
        return engine

    def _settle(self, engine: _Engine, now_s: float) -> None:
        """Credits and throughput of the time since the last look."""
        passed_s, engine.at_s = now_s - engine.at_s, now_s
        iterations = passed_s / (self.merged_s if engine.merged else self.unmerged_s)
        price = (self.unmerged_s / self.merged_s if engine.merged else 1.0) / self.max_num_seqs
        if engine.favoured is not None:
            for function, requests in engine.skipped.items():
                engine.credits[function] += iterations * requests * price
                engine.credits[engine.favoured] -= iterations * requests * price
        engine.tokens += iterations * engine.served
        engine.seconds += passed_s if engine.served else 0.0

    def _first_come(self, at: InstanceView, ready: ReadyQueues) -> dict[Function, int]:
        """The batch by arrival: those that run, then those that wait, by function."""
        counts: dict[Function, int] = {}
        for running in at.running.values():
            counts[running.request.function] = counts.get(running.request.function, 0) + 1
        for request in islice(ready.in_order(), max(0, self.max_num_seqs - len(at.running))):
            counts[request.function] = counts.get(request.function, 0) + 1
        return counts

    @staticmethod
    def _starving(engine: _Engine) -> Function | None:
        """The adapter with credit enough to go first, if any."""
        enough = CREDIT * len(engine.credits)
        richest = max(engine.credits, key=lambda function: (engine.credits[function], -function.index))
        if engine.in_credit is not None and engine.credits[engine.in_credit] >= enough - FALLS_SHORT_BY:
            return engine.in_credit
        engine.in_credit = richest if engine.credits[richest] >= enough else None
        return engine.in_credit

    @staticmethod
    def _to_merge(engine: _Engine, merged: Function | None, counts: Mapping[Function, int]) -> Function | None:
        total = sum(counts.values())
        solvent = {function: count for function, count in counts.items() if engine.credits[function] >= 0}
        if merged in solvent and solvent[merged] >= engine.left * total:
            return merged
        best = max(solvent, key=lambda function: (solvent[function], -function.index), default=None)
        return best if best is not None and solvent[best] >= engine.right * total else None

    def _note(
        self,
        engine: _Engine,
        at: InstanceView,
        merge: Function | None,
        first: Function | None,
        counts: Mapping[Function, int],
        admitted: int,
    ) -> None:
        """What is served from now on, and for whom others are passed over."""
        if engine.merged is not (merge is not None):
            self._judge(engine)
            engine.merged = merge is not None
        if merge is None:
            engine.served = len(at.running) + admitted
        else:
            engine.served = admitted + sum(r.request.function is merge for r in at.running.values())
        passes_over = merge is not None or first is not None
        engine.favoured = first
        engine.skipped = {f: n for f, n in counts.items() if f is not first} if passes_over else {}

    @staticmethod
    def _judge(engine: _Engine) -> None:
        """A mode ends: the threshold that led to it moves by how it has done against the other."""
        rate = engine.tokens / engine.seconds if engine.seconds > 0 else 0.0
        other = engine.tokens_per_s.get(not engine.merged)
        engine.tokens_per_s[engine.merged] = rate
        engine.tokens = engine.seconds = 0.0
        if other is None:
            return
        if engine.merged:
            engine.right = engine.right - 0.05 if rate > other else engine.right * 1.1
        else:
            engine.left = engine.left + 0.05 if rate > other else engine.left / 1.1
