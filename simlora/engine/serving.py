"""Serving: the life of an instance. It starts up, admits what the policy says, runs segments, and goes idle."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from functools import partial
from math import isnan
from typing import TYPE_CHECKING, Any

import simpy

from simlora.actions import Dispatch, Preempt, Wait
from simlora.backends.base import PrefillChunk, Progress, RunTask, WorkFailedError
from simlora.cluster.processes import Instance
from simlora.engine.checks import check_answer, check_until, refuse
from simlora.entities import QueuedRequest
from simlora.events import CauseKind
from simlora.results.recorder import FINISHED
from simlora.views import InstanceState

if TYPE_CHECKING:
    from simlora.engine.engine import Engine

Life = Generator[simpy.Event, Any, None]
UNBOUNDED = 1 << 62


class Server:
    """Runs the batches of instances."""

    def __init__(self, engine: Engine):
        self._engine = engine
        self._env = engine.env
        self._cluster = engine.cluster
        self._batching = engine.policies["batching"]
        self._batch = engine.batches
        self._adapters = engine.adapters
        self._joining = engine.joining

    def bring_to_life(self, instance: Instance) -> None:
        """Its process begins."""
        instance.process = self._env.process(self._life(instance))

    def rouse(self, instance: Instance) -> None:
        """Something is new for this instance: wake it, or have it look at its next step boundary."""
        instance.changed = True
        if instance.wake is not None:
            wake, instance.wake = instance.wake, None
            wake.succeed()
        elif instance.run is not None:
            instance.run.stop()

    def _life(self, instance: Instance) -> Life:
        try:
            while True:
                if instance.reserved:
                    yield from self._engine.start_up.bring_up(instance)
                elif not instance.ready:
                    self._engine.start_up.check_ready(instance)
                if instance.bound:
                    yield from self._serve(instance)
                self._engine.idler.became_idle(instance)
                instance.wake = self._env.event()
                yield instance.wake
        except simpy.Interrupt:
            if instance.task is not None:
                instance.task.stop()
            elif instance.run is not None:
                instance.run.abandon()
        except WorkFailedError as error:
            instance.process = None
            self._engine.failing.instance_lost(instance, str(error))

    # ------------------------------------------------------------------ a batch from its first request to its last

    def _serve(self, instance: Instance) -> Life:
        self._begin(instance)
        instance.changed = True
        ask_again = UNBOUNDED
        while instance.bound or instance.running:
            if instance.changed or not ask_again:
                instance.changed = False
                if instance.leaving:
                    self._engine.migrations.at_boundary(instance)
                    if not (instance.bound or instance.running):
                        break
                if instance.planned_loads:
                    self._adapters.begin_planned(instance)
                ask_again = yield from self._look(instance)
                if not instance.running:
                    instance.changed = True
                if instance.changed:
                    continue
            if len(instance.parked) == len(instance.running):
                instance.wake = self._env.event()
                yield instance.wake
                continue
            chunks, instance.run = self._segment(instance, ask_again)
            progress: Progress = yield instance.run.done
            instance.run = None
            self._apply(instance, chunks, progress)
            if instance.pipeline is not None and instance.pipeline.gathered:
                self._engine.pipelines.serve_alone(instance.pipeline)
            ask_again -= progress.steps
            if progress.finished:
                instance.changed = True
        self._end(instance)

    def _look(self, instance: Instance) -> Generator[simpy.Event, Any, int]:
        """Ask who joins and leaves, and carry it out; after how many steps the policy wants to be asked again."""
        while True:
            decision = self._batching.next_batch(instance, instance.queue, self._cluster)
            if isinstance(decision, Dispatch):
                yield from self._joining.follow(instance, decision)
                return decision.ask_again_after_steps or UNBOUNDED
            now_s = self._env.now
            check_answer(self._batching, decision, Wait, "next_batch", now_s)
            check_until(self._batching, decision.until_s, now_s)
            if decision.until_s is not None:
                self._env.timeout(decision.until_s - now_s).callbacks.append(partial(self._ring, instance))
            if instance.running:
                self._check_goes_on(instance)
                return UNBOUNDED
            if decision.until_s is None and not instance.loading:
                self._hand_back(instance)
                return UNBOUNDED
            instance.wake = self._env.event()
            yield instance.wake

    def _check_goes_on(self, instance: Instance) -> None:
        merged = instance.merged
        if merged is not None and all(running.paused is not None for running in instance.running.values()):
            what = f"lets {instance} wait, where all requests pause for the adapter of {merged.id}"
            refuse(self._batching, self._env.now, what)

    def _ring(self, instance: Instance, alarm: simpy.Event) -> None:
        """The time a policy wanted to wait is over; of no concern to an instance without work."""
        if instance.bound or instance.running:
            self.rouse(instance)

    def _begin(self, instance: Instance) -> None:
        self._engine.usage.account(instance)
        instance.state = InstanceState.BUSY
        for gpu in instance.step_gpus:
            gpu.active_batches += 1
        self._count_active(instance, 1)

    def _end(self, instance: Instance) -> None:
        instance.has_run = True
        self._leave_gpus(instance)
        self._engine.planner.notice(CauseKind.BATCH_ENDED, instance.function, instance.id)

    def break_off(self, instance: Instance) -> None:
        """Its process is gone, in the middle of a batch or not."""
        if instance.state is InstanceState.BUSY:
            self._leave_gpus(instance)

    def _leave_gpus(self, instance: Instance) -> None:
        for gpu in instance.step_gpus:
            gpu.active_batches -= 1
        self._count_active(instance, -1)

    def _count_active(self, instance: Instance, change: int) -> None:
        """A shared backbone is busy while a mapper's batch runs."""
        process = instance.gpu.backbones.get(instance.backbone)
        if process is not None:
            if process.active + change == 0 or process.active == 0:
                self._engine.usage.account_backbone(process)
            process.active += change

    def _hand_back(self, instance: Instance) -> None:
        """Nothing runs and nothing could be admitted: the work returns to the front end until memory is free."""
        own_pool = instance.kv is not instance.memory
        for request in list(instance.queue.in_order()):
            if own_pool or request.index in instance.held:
                what = f"admits nothing to {instance}, which runs nothing and has memory for {request}"
                refuse(self._batching, self._env.now, what)
            self._batch.unbind(instance, request)
            self._engine.front.give_back(request)

    def _segment(self, instance: Instance, at_most: int) -> tuple[list[PrefillChunk], RunTask]:
        """A run until something changes, or for so many steps, and the prompts that its first step computes."""
        if self._batch.grows:
            at_most = min(at_most, self._steps_that_fit(instance))
        chunks = self._chunks(instance)
        if chunks and not (chunks[-1].last and len(chunks) == self._batch.prefilling(instance)):
            at_most = 1
        self._engine.moved_s = self._env.now
        return chunks, self._engine.backend.run(instance, chunks, at_most)

    def _chunks(self, instance: Instance) -> list[PrefillChunk]:
        """Prompts to compute in the next step, in the order of admission, within the token budget."""
        budget = UNBOUNDED
        if instance.chunk_tokens is not None:
            waiting = len(instance.prefilling) + len(instance.parked)
            budget = instance.chunk_tokens - (len(instance.running) - waiting)
        chunks: list[PrefillChunk] = []
        for running in instance.prefilling:
            if budget <= 0:
                break
            if running.paused is not None:
                continue
            request, left = running.request, running.prefill_left
            tokens = min(left, budget)
            budget -= tokens
            chunks.append(PrefillChunk(request, tokens, request.prompt_tokens - left, tokens == left))
        return chunks

    def _apply(self, instance: Instance, chunks: list[PrefillChunk], progress: Progress) -> None:
        if chunks:
            record = self._engine.record.first_token_s
            instance.decode_steps += not self._batch.prefill_alone
            for chunk in chunks:
                running = instance.running[chunk.request.index]
                running.prefill_left -= chunk.tokens
                if chunk.last:
                    running.joined = instance.decode_steps
                    if isnan(record[chunk.request.index]):
                        record[chunk.request.index] = progress.first_token_s
            instance.prefilling = [running for running in instance.prefilling if running.prefill_left]
        instance.decode_steps += progress.steps - bool(chunks)
        if self._batch.grows:
            self._batch.grow(instance, chunks, progress.steps)
        if progress.finished:
            self._finish(instance, progress.finished)

    def _finish(self, instance: Instance, finished: Sequence[QueuedRequest]) -> None:
        """Requests have their last token."""
        engine, now_s = self._engine, self._env.now
        engine.usage.kv_changes(instance)
        for request in finished:
            self._batch.release(instance, request)
            engine.record.finished_s[request.index] = now_s
            for policy in engine.served_observers:
                policy.observe_served(request, engine.record.first_token_s[request.index])
            engine.resolve(request.index, FINISHED)
        self._adapters.tidy(instance)
        engine.front.instance_changed(instance)
        engine.front.memory_freed(instance.gpus)

    # ------------------------------------------------------------------ KV that grows

    def _steps_that_fit(self, instance: Instance) -> int:
        """Steps for which KV can grow; if there is none, the preemption policy names who leaves."""
        while not (steps := instance.kv.free_bytes // self._batch.step_bytes(instance)):
            if self._adapters.make_way(instance, self._batch.step_bytes(instance)):
                continue
            policy, now_s = self._engine.policies["preemption"], self._env.now
            answer = policy.preempt(instance, self._cluster)
            check_answer(policy, answer, Preempt, "preempt", now_s)
            if not answer.victims or len(answer.victims) >= len(instance.running):
                refuse(policy, now_s, f"leaves {instance} no way to go on")
            self._joining.preempt(policy, instance, answer.victims, answer.why, answer.anew)
        return steps
