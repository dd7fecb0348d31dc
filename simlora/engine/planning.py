"""Planning: pre-loading and rebalancing policies, asked when something they care about changed, not on every event."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

import simpy

from simlora.actions import DropAdapter, Evict, EvictBackbone, LoadAdapter, Migrate, Plan, Start, Stop
from simlora.engine.checks import check_answer, check_engine, check_start, check_until, refuse
from simlora.entities import Function
from simlora.events import Cause, CauseKind

if TYPE_CHECKING:
    from simlora.engine.engine import Engine


class Planner:
    """Gathers causes for each plan policy and asks it at most once per planning interval."""

    def __init__(self, engine: Engine):
        self._plans = [_Asked(engine, engine.policies[role]) for role in ("preloading", "rebalancing")]
        self._wanting = {kind: [plan for plan in self._plans if kind in plan.causes] for kind in CauseKind}

    def begin(self) -> None:
        """The run begins: policies that want to know are asked at once."""
        for plan in self._wanting[CauseKind.STARTED]:
            plan.ask([Cause(CauseKind.STARTED)])

    def notice(self, kind: CauseKind, function: Function | None = None, instance: int = -1) -> None:
        """Something happened that may call for a plan."""
        for plan in self._wanting[kind]:
            plan.notice(Cause(kind, function, instance))


class _Asked:
    """One plan policy, its pending causes and its timer."""

    def __init__(self, engine: Engine, policy: Any):
        self._engine = engine
        self._env = engine.env
        self._policy = policy
        self.causes: frozenset[CauseKind] = policy.causes
        self._pending: list[Cause] = []
        self._next_s = -inf
        self._timer: simpy.Event | None = None
        self._timer_s = inf

    def notice(self, cause: Cause) -> None:
        self._pending.append(cause)
        if self._timer_s > self._next_s:
            self._ask_at(self._next_s)

    def _ask_at(self, at_s: float) -> None:
        now_s = self._env.now
        at_s = max(at_s, now_s)
        if at_s < self._timer_s:
            self._timer_s = at_s
            self._timer = self._env.timeout(at_s - now_s)
            self._timer.callbacks.append(self._due)

    def _due(self, timer: simpy.Event) -> None:
        if timer is self._timer:
            self._timer, self._timer_s = None, inf
            pending, self._pending = self._pending, []
            self.ask(pending or [Cause(CauseKind.WOKEN)])

    def ask(self, causes: list[Cause]) -> None:
        """Get a plan and carry it out, each action checked when its turn comes.

        No plans once all requests have ended, nor while no GPU is there.
        """
        engine, policy = self._engine, self._policy
        if not engine.unresolved or not engine.cluster.gpus:
            return
        self._next_s = self._env.now + engine.system.plan_interval_s
        plan: Plan = policy.plan(causes, engine.cluster)
        check_answer(policy, plan, Plan, "plan", self._env.now)
        check_until(policy, plan.wake_at_s, self._env.now)
        for action in plan.actions:
            if isinstance(action, Stop | Evict | EvictBackbone):
                engine.room.evict(policy, [action])
            elif isinstance(action, Start):
                self._start(action, standing=causes[0].kind is CauseKind.STARTED)
            elif isinstance(action, LoadAdapter | DropAdapter):
                self._adapter(action)
            elif isinstance(action, Migrate):
                engine.migrations.move(action, policy)
            else:
                allowed = "Start, Stop, Evict, EvictBackbone, LoadAdapter, DropAdapter, Migrate"
                refuse(policy, self._env.now, f"plans {action!r}; allowed: {allowed}")
        if plan.wake_at_s is not None:
            self._ask_at(max(plan.wake_at_s, self._next_s))

    def _adapter(self, action: LoadAdapter | DropAdapter) -> None:
        engine, policy = self._engine, self._policy
        instance = check_engine(policy, action.instance, action.function, engine.cluster)
        if isinstance(action, LoadAdapter):
            engine.adapters.load_ahead(instance, action.function, policy)
        else:
            engine.adapters.drop(instance, action.function, policy, action.why)

    def _start(self, start: Start, standing: bool) -> None:
        engine = self._engine
        starter = engine.starter
        check_start(self._policy, start, engine.estimates, engine.cluster)
        if start.instance is not None:
            starter.advance(self._engine.cluster.find(start.instance), start.upto, self._policy)
            return
        instance = starter.start_ahead(
            start.function, start.backbone, start.placement, start.upto, start.why, self._policy
        )
        if standing and instance.gpu.reserved:
            starter.stand_ready(instance)
