"""Joining and leaving a running batch, as the batching policy says, and how the loads of adapters meet it."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

import simpy

from simlora.actions import Dispatch
from simlora.cluster.processes import Instance
from simlora.cluster.running import Running
from simlora.engine.checks import check_admission, refuse
from simlora.entities import Function, QueuedRequest
from simlora.events import RequestsPreempted

if TYPE_CHECKING:
    from simlora.engine.engine import Engine

Life = Generator[simpy.Event, Any, None]


class Joining:
    """Carries out what batching and preemption policies decide about a running batch."""

    def __init__(self, engine: Engine):
        self._engine = engine
        self._env = engine.env
        self._batching = engine.policies["batching"]
        self._batch = engine.batches
        self._adapters = engine.adapters
        self._as_one = engine.system.completion == "batch_end"
        self._stops_to_load = engine.system.adapter_loading == "blocking"
        self._assists = engine.system.adapter_loading == "cpu-assisted"

    def follow(self, instance: Instance, decision: Dispatch) -> Life:
        """Who leaves and who joins, and the loads of adapters that are missing."""
        check_admission(self._batching, instance, decision, self._as_one, self._env.now)
        instance.chunk_tokens = decision.chunk_tokens
        self._engine.usage.kv_changes(instance)
        self.preempt(self._batching, instance, decision.preempt, decision.why)
        missing: Sequence[Function] = ()
        if instance.function is None and decision.admit:
            missing = self._adapters.admit(instance, decision.admit, self._batching)
        if not self._stops_to_load:
            for function in missing:
                self._adapters.begin(instance, function, ahead=False)
        for request in decision.admit:
            if not self._batch.admit(instance, request):
                refuse(self._batching, self._env.now, f"admits {request}, for whose KV {instance} lacks memory")
        for function in decision.load:
            self._adapters.load_ahead(instance, function, self._batching)
        joined = decision.admit
        if self._stops_to_load and instance.function is None:
            joined = yield from self._await_adapters(instance, decision.admit, missing)
        if decision.merge is not instance.merged:
            yield from self._merge(instance, decision.merge)
        self._note_start(instance, joined)

    def _await_adapters(
        self, instance: Instance, requests: Sequence[QueuedRequest], missing: Sequence[Function]
    ) -> Generator[simpy.Event, Any, Sequence[QueuedRequest]]:
        """The batch stands still while one adapter after the other is loaded; the requests that get theirs."""
        waited = False
        for function in dict.fromkeys(request.function for request in requests):
            if function in missing:
                yield self._adapters.begin(instance, function, ahead=False)
            elif function in instance.loading:
                yield instance.loading[function]
            else:
                continue
            waited = True
        return [request for request in requests if request.index in instance.running] if waited else requests

    def _merge(self, instance: Instance, function: Function | None) -> Life:
        if function in instance.loading:
            yield instance.loading[function]
        if function is not None and function not in instance.adapters:
            return
        yield from self._engine.start_up.work(instance, self._engine.backend.set_mode(instance, function))
        instance.merged = function
        self._batch.pause_others(instance)

    def _note_start(self, instance: Instance, requests: Sequence[QueuedRequest]) -> None:
        """Those of them that do not wait beside the batch begin to execute."""
        now_s, size = self._env.now, len(instance.running)
        parked = [running.request.index for running in instance.parked]
        for request in requests:
            if request.index not in parked:
                self._batch.note_start(instance, request, now_s, size)

    def adapter_arrived(self, instance: Instance, function: Function) -> None:
        """Requests that waited for it beside the batch join it; where it was missed the batch is looked at again."""
        joining = [running for running in instance.parked if running.request.function is function]
        if joining:
            instance.parked = [running for running in instance.parked if running.request.function is not function]
            instance.prefilling += joining
            self._note_start(instance, [running.request for running in joining])
        users = instance.adapters[function]
        if joining or (self._assists and users) or (instance.bound and not users):
            self._engine.server.rouse(instance)

    def preempt(
        self, policy: Any, instance: Instance, victims: Sequence[QueuedRequest], why: str, anew: bool = False
    ) -> None:
        """They leave the batch and wait again, here or at the front end."""
        if not victims:
            return
        self._engine.usage.kv_changes(instance)
        for request in victims:
            running: Running | None = instance.running.get(request.index)
            if running is None:
                refuse(policy, self._env.now, f"preempts {request}, which does not run or is named twice")
            back = self._batch.send_back(instance, running)
            if anew:
                self._batch.unbind(instance, back)
                self._engine.front.anew(back)
        self._adapters.tidy(instance)
        where = instance.id, instance.gpu.index
        indices = tuple(request.index for request in victims)
        self._engine.happened(RequestsPreempted(self._env.now, *where, indices, why))
