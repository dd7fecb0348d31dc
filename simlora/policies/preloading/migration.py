"""dLoRA's rebalancing: every few seconds requests move between replicas whose load has drifted apart."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from simlora.actions import Migrate, Plan
from simlora.entities import Backbone, Function, QueuedRequest
from simlora.events import Cause, CauseKind
from simlora.policies.base import PolicyContext
from simlora.policies.estimates import Estimates
from simlora.policies.preloading.balance import share_out, whole
from simlora.policies.registry import register
from simlora.views import ClusterView, InstanceView

Held = dict[Function, list[QueuedRequest]]
GB = 1e9


@register("preloading", "dlora-migration")
@dataclass
class Migration:
    """Every ``interval_s``: if one replica's KV is ``kv_share`` full and another's is not, those two share their
    requests anew; else, if one has ``overload`` requests more than the mean, all replicas of the backbone do.

    Who goes where minimises the longest time of a replica, T >= sum exec_s n(a) x(a, j) + move_s (moved to j) + (KV
    beyond its memory) / ``load_bytes_per_s``, x(a, j) being the share of adapter a's requests at j; a replica holds no
    more adapters than it has places for. Of what a replica gives, requests that wait go first, the newest of all before
    the others.

    Source: dLoRA (OSDI'24), github.com/LLMServe/dLoRA-artifact (10 s, 90 %, 16 requests, 5 s a request, 0.05 s a move).
    Assumptions: KV is recomputed at the new replica; the ``most`` adapters with the most requests take part, which
    keeps the program small; its solution may be the share ``gap`` off the best, and more after ``node_limit`` nodes.
    """

    interval_s: float = 10.0
    kv_share: float = 0.9
    overload: int = 16
    exec_s: float = 5.0
    move_s: float = 0.05
    load_bytes_per_s: float = 32e9
    most: int = 16
    gap: float = 0.01
    node_limit: int = 2000
    causes: frozenset[CauseKind] = field(default=frozenset({CauseKind.STARTED}), init=False)
    _estimates: Estimates = field(init=False, repr=False, compare=False)
    _one_of: dict[Backbone, Function] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("interval_s", "exec_s", "move_s", "load_bytes_per_s", "overload", "most", "node_limit"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be a finite number, more than 0 (found {getattr(self, name)})")
        if not 0 <= self.gap < 1:
            raise ValueError(f"gap must be at least 0 and less than 1 (found {self.gap})")
        if not 0 < self.kv_share <= 1:
            raise ValueError(f"kv_share must be more than 0 and at most 1 (found {self.kv_share})")

    def bind(self, context: PolicyContext) -> None:
        self._estimates = context.estimates
        for function in context.functions:
            self._one_of.setdefault(function.backbone, function)

    def plan(self, causes: Sequence[Cause], view: ClusterView) -> Plan:
        moves: list[Migrate] = []
        for function in self._one_of.values():
            replicas = [i for i in view.instances_of(function).values() if i.function is None and i.ready]
            sharing = self._out_of_balance(sorted(replicas, key=lambda i: i.id))
            if sharing:
                moves += self._share(sharing)
        return Plan(moves, view.now_s + self.interval_s)

    def _out_of_balance(self, replicas: list[InstanceView]) -> list[InstanceView]:
        """The replicas among which requests are to be shared anew; none if all is well."""
        if len(replicas) < 2:
            return []
        fill = {i.id: self._fill(i) for i in replicas}
        fullest = max(replicas, key=lambda i: (fill[i.id], -i.id))
        emptiest = min(replicas, key=lambda i: (fill[i.id], i.id))
        if fill[fullest.id] >= self.kv_share > fill[emptiest.id]:
            return [fullest, emptiest]
        held = [i.bound + len(i.running) for i in replicas]
        return replicas if max(held) - sum(held) / len(held) >= self.overload else []

    def _fill(self, instance: InstanceView) -> float:
        """KV in use and wanted by what waits, in relation to what there is."""
        used = sum(self._kv_bytes(running.request) for running in instance.running.values())
        wanted = sum(self._kv_bytes(request) for request in instance.queue.in_order())
        return (used + wanted) / max(used + instance.kv_free_bytes, 1)

    def _kv_bytes(self, request: QueuedRequest) -> int:
        return self._estimates.request_bytes(request)

    def _share(self, replicas: list[InstanceView]) -> list[Migrate]:
        held = [_held(instance) for instance in replicas]
        totals: dict[Function, int] = {}
        for mine in held:
            for function, requests in mine.items():
                totals[function] = totals.get(function, 0) + len(requests)
        adapters = sorted(totals, key=lambda f: (-totals[f], f.index))[: self.most]
        counts = np.array([[len(mine.get(f, ())) for mine in held] for f in adapters], float)
        shares = share_out(
            counts,
            np.array([self._kv_gb(request for mine in held for request in mine.get(f, ())) for f in adapters]),
            room_gb=[self._room_gb(replica) for replica in replicas],
            places=[replica.adapter_slots for replica in replicas],
            exec_s=self.exec_s,
            move_s=self.move_s,
            s_per_gb=GB / self.load_bytes_per_s,
            gap=self.gap,
            node_limit=self.node_limit,
        )
        moves: list[Migrate] = []
        if shares is not None:
            for function, share in zip(adapters, shares, strict=True):
                moves += _moves(function, whole(share, totals[function]), replicas, held)
        return moves

    def _kv_gb(self, requests: Iterable[QueuedRequest]) -> float:
        return sum(map(self._kv_bytes, requests)) / GB

    def _room_gb(self, replica: InstanceView) -> float:
        return replica.kv_free_bytes / GB + self._kv_gb(running.request for running in replica.running.values())


def _held(instance: InstanceView) -> Held:
    """The requests of an engine by function: those that run, oldest first, then those that wait."""
    held: Held = {}
    for running in instance.running.values():
        held.setdefault(running.request.function, []).append(running.request)
    for request in instance.queue.in_order():
        held.setdefault(request.function, []).append(request)
    return held


def _moves(
    function: Function, after: Sequence[int], replicas: Sequence[InstanceView], held: Sequence[Held]
) -> list[Migrate]:
    """From replicas that have too many to those that have too few, the last of each list first."""
    have = [mine.get(function, []) for mine in held]
    giving = [
        (replica, request)
        for replica, mine, keeps in zip(replicas, have, after, strict=True)
        for request in reversed(mine[keeps:])
    ]
    taking = [
        replica
        for replica, mine, gets in zip(replicas, have, after, strict=True)
        for _ in range(max(0, gets - len(mine)))
    ]
    return [Migrate(request, source, to, "rebalanced") for (source, request), to in zip(giving, taking, strict=True)]
