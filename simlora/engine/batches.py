"""The running batch of an instance: who is in it, and the KV each holds."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from typing import TYPE_CHECKING

from simlora.backends.base import PrefillChunk
from simlora.cluster.processes import Instance
from simlora.cluster.queues import Queues
from simlora.cluster.running import Running
from simlora.entities import QueuedRequest

if TYPE_CHECKING:
    from simlora.engine.engine import Engine


class Batches:
    """Joining, growing and leaving, with exact bytes."""

    def __init__(self, engine: Engine):
        self._engine = engine
        self._cluster = engine.cluster
        self._record = engine.record
        self._reservations = engine.reservations
        self.grows = engine.system.reserve == "prompt"
        self.prefill_alone = engine.estimates.profile.engine.batching.prefill_alone
        self._parks = engine.system.adapter_loading == "overlapped"
        self._before_preemption: dict[int, QueuedRequest] = {}
        self._over_s: dict[int, float] = {}

    def admit(self, instance: Instance, request: QueuedRequest) -> bool:
        """From the instance's queue into its batch; False if its KV does not fit."""
        reservations = self._reservations
        if not (
            request.index in instance.held
            or reservations.hold(instance, request)
            or reservations.hold_instead(instance, request)
        ):
            return False
        instance.held_bound_bytes -= instance.held[request.index]
        instance.queue.remove(request)
        instance.bound -= 1
        running = Running(request, instance)
        instance.running[request.index] = running
        waits = self._parks and request.function in instance.loading
        (instance.parked if waits else instance.prefilling).append(running)
        if instance.function is not None:
            instance.adapters[instance.function] = len(instance.running)
        return True

    def note_start(self, instance: Instance, request: QueuedRequest, now_s: float, batch: int) -> None:
        """Its batch begins to execute; the first time counts for a request that was preempted.

        Cold is a request that was there, or started over, before its instance was ready. It has waited for that one
        since it was bound or, held back until one was up, since the instance that took it began to start.
        """
        record, index = self._record, request.index
        if record.instance[index] >= 0:
            return
        there_s, bound_s = self._over_s.get(index, request.arrived_s), record.bound_s[index]
        record.instance[index], record.gpu[index], record.batch[index] = instance.id, instance.gpu.index, batch
        record.started_s[index] = now_s
        if instance.ready_s > there_s:
            record.cold[index] = 1
            record.bound_s[index] = min(bound_s, max(there_s, instance.began_s))
            record.ready_s[index] = instance.ready_s
        else:
            record.ready_s[index] = bound_s

    def unbind(self, instance: Instance, request: QueuedRequest) -> None:
        """Out of the instance's queue, without having run."""
        self._reservations.release_bound(instance, request)
        instance.queue.remove(request)
        instance.bound -= 1
        self._cluster.touch(instance.gpus)
        self._cluster.count_bound(request.function, -1)

    def forsake(self, instance: Instance) -> list[QueuedRequest]:
        """Its process is gone, usage being accounted for: what it had, bound or running, as it came; no KV is held."""
        ran = [running.request for running in instance.running.values()]
        requests = sorted((*instance.queue.in_order(), *ran), key=lambda request: request.index)
        for request in requests:
            self._cluster.count_bound(request.function, -1)
        instance.give_kv(instance.kv_bytes)
        instance.held.clear()
        instance.held_bound_bytes = instance.bound = 0
        self._cluster.touch(instance.gpus)
        instance.queue = Queues()
        instance.running.clear()
        instance.prefilling.clear()
        instance.parked.clear()
        return [self._as_it_came(request) for request in requests]

    def expel(self, instance: Instance, running: Running) -> QueuedRequest:
        """It leaves the batch for good, usage being accounted for: its adapter can't be had. The request as it came."""
        request = running.request
        self._take_out(instance, running)
        self._give_kv(instance, instance.running.pop(request.index))
        self._cluster.count_bound(request.function, -1)
        return self._as_it_came(request)

    def start_over(self, request: QueuedRequest, now_s: float) -> None:
        """Its work has failed: the row of a request is that of its last attempt."""
        record, index = self._record, request.index
        self._engine.backend.forget(request)
        self._over_s[index] = now_s
        record.instance[index] = record.gpu[index] = -1
        record.batch[index] = record.cold[index] = 0
        for column in (record.ready_s, record.started_s, record.first_token_s):
            column[index] = nan

    def _as_it_came(self, request: QueuedRequest) -> QueuedRequest:
        return self._before_preemption.get(request.index, request)

    def step_bytes(self, instance: Instance) -> int:
        """KV of a token for each in the batch that does not pause."""
        going = len(instance.running)
        if instance.merged is not None:
            going = sum(running.request.function is instance.merged for running in instance.running.values())
        return going * instance.backbone.shard.kv_bytes_per_token

    def prefilling(self, instance: Instance) -> int:
        """Requests with prompt left to compute that do not pause."""
        if instance.merged is None:
            return len(instance.prefilling)
        return sum(running.paused is None for running in instance.prefilling)

    def pause_others(self, instance: Instance) -> None:
        """Requests of functions other than the one whose adapter has been merged pause, the others go on."""
        merged, now = instance.merged, instance.decode_steps
        for running in instance.running.values():
            pauses = merged is not None and running.request.function is not merged
            if pauses and running.paused is None:
                running.paused = now
            elif not pauses and running.paused is not None:
                running.joined += now - running.paused
                running.paused = None

    def grow(self, instance: Instance, chunks: Sequence[PrefillChunk], steps: int) -> None:
        """``steps`` steps have been done: every request that decoded holds as many tokens more."""
        going = len(instance.running) - len(instance.prefilling) - len(instance.parked)
        if instance.merged is not None:
            going = sum(not r.prefill_left and r.paused is None for r in instance.running.values())
        idle = going if chunks and self.prefill_alone else sum(chunk.last for chunk in chunks)
        instance.take_kv((going * steps - idle) * instance.backbone.shard.kv_bytes_per_token)

    def _give_kv(self, instance: Instance, running: Running) -> None:
        """What was set aside for it and what it has grown by."""
        grown_bytes = running.decoded * instance.backbone.shard.kv_bytes_per_token if self.grows else 0
        instance.give_kv(instance.held.pop(running.request.index) + grown_bytes)

    def release(self, instance: Instance, request: QueuedRequest) -> None:
        """It has left the batch, usage being accounted for: its KV is free, its adapter has one user less."""
        self._give_kv(instance, instance.running.pop(request.index))
        self._cluster.count_bound(request.function, -1)
        function = request.function
        if instance.function is None:
            self._engine.adapters.unpin(instance, function)
        else:
            instance.adapters[function] = len(instance.running)

    def send_back(self, instance: Instance, running: Running) -> QueuedRequest:
        """Preempted: it waits again, and what it has produced is now part of what it must prefill."""
        request, produced = running.request, running.produced
        self._take_out(instance, running)
        self.release(instance, request)
        back = QueuedRequest(
            request.index,
            request.function,
            request.arrived_s,
            request.prompt_tokens + produced,
            request.max_new_tokens - produced,
        )
        self._before_preemption.setdefault(request.index, request)
        instance.queue.push(back)
        instance.bound += 1
        self._cluster.count_bound(request.function, 1)
        self._record.preemptions[request.index] += 1
        return back

    def _take_out(self, instance: Instance, running: Running) -> None:
        if running.prefill_left:
            (instance.parked if running in instance.parked else instance.prefilling).remove(running)
        else:
            self._engine.backend.leave(instance, running.request)
