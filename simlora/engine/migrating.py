"""Migration: a request goes over to another engine of its backbone, its KV recomputed there.

One that waits goes at once; one that runs at its engine's next step boundary, as if preempted: what it has produced is
then part of what it must prefill. One that has ended by then, or whose new engine has, stays where it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simlora.actions import Migrate
from simlora.cluster.processes import Instance
from simlora.engine.checks import check_engine, refuse
from simlora.entities import QueuedRequest
from simlora.events import RequestsPreempted

if TYPE_CHECKING:
    from simlora.engine.engine import Engine


class Migrations:
    """Moves requests between engines."""

    def __init__(self, engine: Engine):
        self._engine = engine
        self._env = engine.env
        self._cluster = engine.cluster
        self._batch = engine.batches

    def move(self, action: Migrate, policy: Any) -> None:
        """Carry out or set down what a plan says."""
        request = action.request
        function: Any = getattr(request, "function", None)
        source = check_engine(policy, action.source, function, self._cluster)
        to = check_engine(policy, action.to, function, self._cluster)
        if source is to or not to.ready:
            refuse(policy, self._env.now, f"moves {request} from {source} to {to}, which must be another that is up")
        if request in source.queue.by_function.get(function, ()):
            self._hand_over(request, source, to)
        elif getattr(source.running.get(request.index), "request", None) is request:
            source.leaving[request.index] = to
            self._engine.server.rouse(source)
        else:
            refuse(policy, self._env.now, f"moves {request}, which neither waits nor runs on {source}")

    def at_boundary(self, source: Instance) -> None:
        """Its steps have come to a boundary: who is to leave does."""
        leaving, source.leaving = source.leaving, {}
        for index, to in leaving.items():
            running = source.running.get(index)
            if running is None or to.gpu.instances.get(to.id) is not to or not to.ready:
                continue
            self._engine.usage.kv_changes(source)
            back = self._batch.send_back(source, running)
            where = source.id, source.gpu.index
            self._engine.happened(RequestsPreempted(self._env.now, *where, (index,), f"migrates to {to}"))
            self._hand_over(back, source, to)
        self._engine.adapters.tidy(source)

    def _hand_over(self, request: QueuedRequest, source: Instance, to: Instance) -> None:
        self._batch.unbind(source, request)
        to.queue.push(request)
        to.bound += 1
        self._cluster.touch(to.gpus)
        self._cluster.count_bound(request.function, 1)
        self._cluster.idle_containers.pop(to.container.id, None)
        self._engine.server.rouse(to)
