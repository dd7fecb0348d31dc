"""The laws every policy of a role must keep, as test classes to inherit.

Common laws: the answer is well-typed and admissible; two fresh policies that were told the same answer the same, and so
do they in another process; asking changes nothing in the view; the order of dictionaries does not matter.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from hypothesis import HealthCheck, given, settings

from simlora.actions import (
    Binding,
    ColdStart,
    Demand,
    Dispatch,
    Evict,
    EvictBackbone,
    Eviction,
    Hold,
    Placement,
    Plan,
    Preempt,
    Reject,
    Route,
    Start,
    Stop,
    ToInstance,
    Wait,
)
from simlora.events import Cause, CauseKind
from simlora.policies.base import Binds, ObservesArrivals
from simlora.testing.elsewhere import answers_elsewhere
from simlora.testing.views import FrozenInstance, FrozenQueues
from simlora.testing.worlds import World, worlds
from simlora.views import InstanceState, InstanceView, by_index

LAWS = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.differing_executors, HealthCheck.too_slow],
)


def _is_free(instance: InstanceView) -> bool:
    return instance.state is InstanceState.IDLE and not instance.bound


class PolicyContract:
    """Laws of all roles. A subclass says how to make the policy; a role's contract what to ask and what may be said."""

    role: ClassVar[str]

    def make_policy(self) -> Any:
        """A fresh policy, not yet bound."""
        raise NotImplementedError("a contract's subclass must define make_policy")

    def questions(self, policy: Any, world: World) -> Iterator[tuple[Any, Any]]:
        """Pairs of what was asked about and the answer."""
        raise NotImplementedError

    def check(self, policy: Any, asked: Any, answer: Any, world: World) -> None:
        """Assert that the answer is admissible in this world."""
        raise NotImplementedError

    def ask_all(self, world: World) -> list[tuple[Any, Any]]:
        """A fresh policy's answers to everything its role can be asked in this world."""
        return list(self.questions(self.told(world), world))

    def told(self, world: World) -> Any:
        """A fresh policy that knows its context and the arrivals so far."""
        policy = self.make_policy()
        if isinstance(policy, Binds):
            policy.bind(world.context())
        if isinstance(policy, ObservesArrivals):
            for function, at_s in world.arrivals:
                policy.observe_arrival(function, at_s)
        return policy

    @LAWS
    @given(worlds())
    def test_answers_are_admissible(self, world: World) -> None:
        policy = self.told(world)
        for asked, answer in self.questions(policy, world):
            self.check(policy, asked, answer, world)

    @LAWS
    @given(worlds())
    def test_equal_pasts_give_equal_answers(self, world: World) -> None:
        assert repr(self.ask_all(world)) == repr(self.ask_all(world))

    @LAWS
    @given(worlds())
    def test_asking_changes_nothing(self, world: World) -> None:
        before = world.view.describe()
        self.ask_all(world)
        assert world.view.describe() == before

    @LAWS
    @given(worlds())
    def test_order_of_dictionaries_does_not_matter(self, world: World) -> None:
        answers = repr(self.ask_all(world))
        world.view.reverse_mappings()
        assert repr(self.ask_all(world)) == answers

    def test_another_process_gives_the_same_answers(self) -> None:
        here, there = answers_elsewhere(type(self))
        assert here == there


class RoutingContract(PolicyContract):
    """A route leads to an instance that serves the function and, if a batch was formed for it, is not running one."""

    role = "routing"

    def questions(self, policy: Any, world: World) -> Iterator[tuple[Any, Any]]:
        for function in world.view.functions:
            for request in list(world.view.front.by_function.get(function, ()))[:1]:
                first = policy.route([request], function, world.view)
                yield function, first
                yield function, policy.route([request], function, world.view)
                assert repr(first) == repr(policy.route([request], function, world.view)), "asked again, it changed"

    def check(self, policy: Any, asked: Any, answer: Route, world: World) -> None:
        assert isinstance(policy.binding, Binding)
        assert isinstance(answer, ToInstance | ColdStart | Hold | Reject)
        if isinstance(answer, ToInstance):
            assert answer.instance.id in world.view.instances_of(asked)
            assert answer.instance.state is not InstanceState.STOPPED


class PlacementContract(PolicyContract):
    """A place exists, its container is idle and on its GPU, and the start fits once all that is idle there has left."""

    role = "placement"

    def questions(self, policy: Any, world: World) -> Iterator[tuple[Any, Any]]:
        for function in world.view.functions:
            answer = policy.place(function, world.view)
            assert repr(answer) == repr(policy.place(function, world.view)), "asked again, it changed"
            yield function, answer

    def check(self, policy: Any, asked: Any, answer: Placement | None, world: World) -> None:
        if answer is None:
            return
        assert isinstance(answer, Placement)
        gpu = world.view.gpus[answer.gpu.index]
        assert gpu is answer.gpu
        if answer.container is not None:
            assert answer.container.gpu is gpu
            assert answer.container.id in world.view.idle_containers
        room_bytes = gpu.free_bytes + sum(sum(i.done.values()) for i in gpu.instances.values() if _is_free(i))
        room_bytes += sum(b.bytes for b in gpu.backbones.values() if not b.mapped_by)
        assert world.estimates.start_bytes(asked, {}, gpu) <= room_bytes


class BatchingContract(PolicyContract):
    """A batch holds requests that wait, each once, of one function before it is bound, and no more than fits.

    A wait ends in the future, and work at the front end is never left without a time to look again.
    """

    role = "batching"

    def questions(self, policy: Any, world: World) -> Iterator[tuple[Any, Any]]:
        if len(world.view.front):
            answer = policy.next_batch(None, world.view.front, world.view)
            assert repr(answer) == repr(policy.next_batch(None, world.view.front, world.view)), (
                "asked again, it changed"
            )
            yield (None, world.view.front), answer
        for instance in world.view.instances.values():
            if instance.ready:
                ready = world.bound[instance.id]
                yield (instance, ready), policy.next_batch(instance, ready, world.view)

    def check(self, policy: Any, asked: Any, answer: Dispatch | Wait, world: World) -> None:
        at: FrozenInstance | None
        ready: FrozenQueues
        at, ready = asked
        assert isinstance(answer, Dispatch | Wait)
        if isinstance(answer, Wait):
            assert answer.until_s is not None or at is not None, "work at the front end, and no time to look again"
            assert answer.until_s is None or answer.until_s > world.view.now_s
            return
        waiting = {request.index for request in ready.in_order()}
        admitted = [request.index for request in answer.admit]
        assert len(admitted) == len(dict.fromkeys(admitted))
        assert waiting.issuperset(admitted)
        assert answer.chunk_tokens is None or answer.chunk_tokens > 0
        assert answer.ask_again_after_steps is None or answer.ask_again_after_steps > 0
        if at is None:
            assert admitted
            assert not answer.preempt
            assert all(request.function is answer.admit[0].function for request in answer.admit)
        else:
            assert all(request.index in at.running for request in answer.preempt)
            assert sum(map(world.estimates.request_bytes, answer.admit)) <= at.kv_free_bytes or not admitted
            if at.function is None:
                users = {f for f, count in at.adapters.items() if count} | {r.function for r in answer.admit}
                assert len(users) <= at.adapter_slots or not admitted


class PreloadingContract(PolicyContract):
    """Starts go to idle containers and fit together; what is stopped or evicted is idle; the next look is later.

    Nothing is done twice to one instance.
    """

    role = "preloading"

    def questions(self, policy: Any, world: World) -> Iterator[tuple[Any, Any]]:
        if len(world.view.gpus) < len({function.backbone for function in world.view.functions}):
            return
        assert isinstance(policy.causes, frozenset)
        for kind in CauseKind:
            if kind in policy.causes:
                general = kind in (CauseKind.STARTED, CauseKind.WOKEN, CauseKind.MEMORY_FREED)
                causes = [Cause(kind)] if general else [Cause(kind, f) for f in world.view.functions]
                yield kind, policy.plan(causes, world.view)

    def check(self, policy: Any, asked: Any, answer: Plan, world: World) -> None:
        assert isinstance(answer, Plan)
        assert answer.wake_at_s is None or answer.wake_at_s > world.view.now_s
        started: dict[int, int] = {}
        loads: dict[tuple[int, str], int] = {}
        for action in answer.actions:
            assert isinstance(action, Start | Stop | Evict | EvictBackbone)
            if isinstance(action, Start):
                self._check_start(action, world)
                self._count(action, world, started, loads)
            elif isinstance(action, EvictBackbone):
                assert action.gpu.backbones[action.backbone].mapped_by == 0
            else:
                assert _is_free(action.instance)
        touched = [a.instance.id for a in answer.actions if not isinstance(a, EvictBackbone) and a.instance]
        assert len(touched) == len(dict.fromkeys(touched))
        for gpu in world.view.gpus:
            if not any(isinstance(action, Stop | Evict | EvictBackbone) for action in answer.actions):
                shared = sum(size for (index, _), size in loads.items() if index == gpu.index)
                assert started.get(gpu.index, 0) + shared <= gpu.free_bytes or gpu.index not in started

    @staticmethod
    def _check_start(action: Start, world: World) -> None:
        gpu, container = action.placement
        assert gpu is world.view.gpus[gpu.index]
        assert action.upto in world.estimates.stages
        if action.function is not None:
            assert action.function.backbone is action.backbone
            assert action.upto in world.estimates.preloadable
        if container is not None:
            assert container.gpu is gpu
            assert container.id in world.view.idle_containers
        if action.instance is not None:
            assert _is_free(action.instance)
            assert action.instance.container is container
            assert action.instance.function is action.function
            assert action.upto not in action.instance.done

    @staticmethod
    def _count(action: Start, world: World, started: dict[int, int], loads: dict[tuple[int, str], int]) -> None:
        if action.function is None:
            return
        gpu, stages = action.placement.gpu, world.estimates.stages
        done = action.instance.done if action.instance is not None else {}
        for stage in stages[: stages.index(action.upto) + 1]:
            if stage not in done:
                size = world.estimates.stage_device_bytes(action.function, stage, gpu)
                if stage in world.estimates.shared_stages:
                    loads[gpu.index, action.backbone.name] = size
                    size = 0
                started[gpu.index] = started.get(gpu.index, 0) + size


class OffloadingContract(PolicyContract):
    """Victims are idle, on the GPU that asks, not the one to keep, and named once; backbones leave only unmapped."""

    role = "offloading"

    def questions(self, policy: Any, world: World) -> Iterator[tuple[Any, Any]]:
        for gpu in world.view.gpus:
            for keep in (None, *by_index(gpu.instances.values())):
                for need_bytes in (1, 1_000_000_000, gpu.capacity_bytes // 2):
                    demand = Demand(need_bytes, gpu, keep)
                    answer = policy.victims(demand, world.view)
                    assert repr(answer) == repr(policy.victims(demand, world.view)), "asked again, it changed"
                    yield demand, answer

    def check(self, policy: Any, asked: Demand, answer: Sequence[Eviction], world: World) -> None:
        touched: list[int] = []
        unmapped: dict[str, int] = {}
        for eviction in answer:
            assert isinstance(eviction, Stop | Evict | EvictBackbone)
            if isinstance(eviction, EvictBackbone):
                assert eviction.gpu is asked.gpu
                mapped_by = eviction.gpu.backbones[eviction.backbone].mapped_by
                assert mapped_by == unmapped.get(eviction.backbone.name, 0)
                continue
            instance = eviction.instance
            touched.append(instance.id)
            assert _is_free(instance)
            assert instance.gpu is asked.gpu
            assert asked.keep is None or instance.id != asked.keep.id
            stages = world.estimates.stages
            first = 0
            if isinstance(eviction, Evict):
                assert eviction.stage in instance.done
                first = stages.index(eviction.stage)
            if "backbone" in instance.done and stages.index("backbone") >= first:
                unmapped[instance.backbone.name] = unmapped.get(instance.backbone.name, 0) + 1
        assert len(touched) == len(dict.fromkeys(touched))


class PreemptionContract(PolicyContract):
    """Somebody of the running batch leaves, each named once."""

    role = "preemption"

    def questions(self, policy: Any, world: World) -> Iterator[tuple[Any, Any]]:
        for instance in world.view.instances.values():
            if instance.running:
                yield instance, policy.preempt(instance, world.view)

    def check(self, policy: Any, asked: FrozenInstance, answer: Preempt, world: World) -> None:
        assert isinstance(answer, Preempt)
        leaving = [request.index for request in answer.victims]
        assert leaving
        assert len(leaving) == len(dict.fromkeys(leaving))
        assert all(index in asked.running for index in leaving)


class KeepAliveContract(PolicyContract):
    """Each stage named exists, once, and ends now or later."""

    role = "keepalive"

    def questions(self, policy: Any, world: World) -> Iterator[tuple[Any, Any]]:
        for instance in world.view.instances.values():
            if _is_free(instance):
                yield instance, policy.keep(instance, world.view)

    def check(self, policy: Any, asked: Any, answer: Sequence[tuple[str, float]], world: World) -> None:
        stages = [stage for stage, _ in answer]
        assert len(stages) == len(dict.fromkeys(stages))
        assert all(stage in world.estimates.stages for stage in stages)
        assert all(until_s >= world.view.now_s for _, until_s in answer)


class ScalingContract(PolicyContract):
    """A number of instances, zero or more; its tick takes time."""

    role = "scaling"

    def questions(self, policy: Any, world: World) -> Iterator[tuple[Any, Any]]:
        for function in world.view.functions:
            yield function, policy.desired(function, world.view)

    def check(self, policy: Any, asked: Any, answer: int, world: World) -> None:
        assert isinstance(answer, int)
        assert answer >= 0
        assert policy.tick_s > 0


class ForecastContract(PolicyContract):
    """Rates are finite and not negative, zero before the first arrival, and untouched by being asked for."""

    role = "forecast"

    def questions(self, policy: Any, world: World) -> Iterator[tuple[Any, Any]]:
        for function in world.view.functions:
            if function not in (called for called, _ in world.arrivals):
                assert policy.rate_per_s(function, world.view.now_s) == 0
        for function in world.view.functions:
            for later_s in (0.0, 1.0, 1e5):
                now_s = world.view.now_s + later_s
                answer = policy.rate_per_s(function, now_s)
                assert answer == policy.rate_per_s(function, now_s), "asked again, it changed"
                yield (function, now_s), answer

    def check(self, policy: Any, asked: Any, answer: float, world: World) -> None:
        assert math.isfinite(answer)
        assert answer >= 0


CONTRACTS: dict[str, type[PolicyContract]] = {
    contract.role: contract
    for contract in (
        RoutingContract,
        PlacementContract,
        BatchingContract,
        PreloadingContract,
        OffloadingContract,
        PreemptionContract,
        KeepAliveContract,
        ScalingContract,
        ForecastContract,
    )
}
CONTRACTS["rebalancing"] = PreloadingContract
