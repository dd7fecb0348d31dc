"""Law 3: the engine refuses a bad decision with an error that names the policy, and never repairs it."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from simlora.actions import Dispatch, Evict, EvictBackbone, Placement, Plan, Preempt, Start, Stop, ToInstance, Wait
from simlora.cluster.config import ClusterConfig
from simlora.engine import Simulation
from simlora.entities import QueuedRequest
from simlora.errors import PolicyError
from simlora.events import CauseKind
from simlora.testing.scenario import ROW, Scenario, make_functions, make_workload
from simlora.testing.steps import ConstantSteps
from simlora.views import InstanceState

pytestmark = pytest.mark.usefixtures("no_hang")

STEPS = ConstantSteps(0.05)
ROWS = [(0.0, 0, 100, 40), (0.0, 1, 100, 40), (20.0, 0, 100, 60), (20.4, 0, 100, 60), (20.8, 1, 100, 60)]
PLACED = [(0.0, 0, 100, 300), (20.0, 1, 100, 10), (45.0, 0, 100, 10), (45.001, 0, 100, 10)]
STRANGER = QueuedRequest(99, make_functions("llama-2-7b")[0], 0.0, 10, 10)
Bad = Callable[..., Any]


def scenario(system: str, rows: Sequence[ROW] = ROWS, **overrides: Any) -> Scenario:
    functions = make_functions("llama-2-7b", "llama-2-7b")
    cluster = ClusterConfig(nodes=1, gpus_per_node=2)
    return Scenario(system, functions, make_workload(rows), overrides, cluster, steps=lambda instance: STEPS)


def answer_badly(simulation: Simulation, role: str, method: str, bad: Bad) -> list[Any]:
    """The policy answers what ``bad`` does, unless that is ``...``; returns the list of answers so given."""
    policy = simulation.policies[role]
    ask, given = getattr(policy, method), list[Any]()

    def answer(*question: Any) -> Any:
        said = bad(simulation, *question)
        if said is ...:
            return ask(*question)
        given.append(said)
        return said

    setattr(policy, method, answer)
    return given


def running(view: Any) -> Iterator[Any]:
    return (i for gpu in view.gpus for i in gpu.instances.values() if i.running)


def idle(view: Any) -> Iterator[Any]:
    every = (i for gpu in view.gpus for i in gpu.instances.values())
    return (i for i in every if i.state is InstanceState.IDLE and not i.bound)


@dataclass(frozen=True)
class Case:
    """One bad answer, and the systems in which it is given."""

    bad: Bad
    systems: tuple[str, ...] = ("serverless-lora", "vllm")


def when(found: Callable[..., Any], then: Callable[[Any], Any]) -> Callable[..., Any]:
    """The bad answer for the first thing found in the view, else none."""

    def bad(simulation: Simulation, *question: Any) -> Any:
        thing = next(iter(found(question[-1])), None)
        return ... if thing is None else then(thing)

    return bad


# ---------------------------------------------------------------------------------------------- routing

ROUTES = {
    "nothing": Case(lambda s, work, function, view: None),
    "a text": Case(lambda s, work, function, view: "to the first"),
    "to nothing": Case(lambda s, work, function, view: ToInstance(None)),
    "to another function's": Case(
        lambda s, work, function, view: next(
            (ToInstance(i) for i in idle(view) if i.function is not None and i.function is not function), ...
        ),
        ("serverless-lora", "insta-infer"),
    ),
    "to a copy": Case(lambda s, work, function, view: next((ToInstance(copy.copy(i)) for i in idle(view)), ...)),
}

# ---------------------------------------------------------------------------------------------- placement

PLACES = {
    "a text": Case(lambda s, function, view: "anywhere", ("serverless-lora",)),
    "no GPU": Case(lambda s, function, view: Placement(None), ("serverless-lora",)),
    "a copy of a GPU": Case(lambda s, function, view: Placement(copy.copy(view.gpus[0])), ("serverless-lora",)),
    "a busy container": Case(
        when(running, lambda i: Placement(i.gpu, i.container)), ("serverless-lora", "insta-infer")
    ),
    "a container elsewhere": Case(
        lambda s, function, view: next(
            (Placement(view.gpus[1 - c.gpu.index], c) for c in view.idle_containers.values()), ...
        ),
        ("insta-infer",),
    ),
}

# ---------------------------------------------------------------------------------------------- batching


def at_front(bad: Callable[[Any, Any], Any]) -> Bad:
    return lambda s, at, ready, view: bad(ready, view) if at is None else ...


def at_instance(bad: Callable[[Any, Any, Any], Any]) -> Bad:
    return lambda s, at, ready, view: ... if at is None else bad(at, ready, view)


def two_functions(ready: Any, view: Any) -> Any:
    if len(ready.by_function) == 1:
        return Wait(view.now_s + 1.0)
    return Dispatch([queue[0] for queue in ready.by_function.values()])


FORMED = {
    "nothing": at_front(lambda ready, view: None),
    "an empty batch": at_front(lambda ready, view: Dispatch(())),
    "a stranger": at_front(lambda ready, view: Dispatch([STRANGER])),
    "two functions": at_front(two_functions),
    "one twice": at_front(lambda ready, view: Dispatch([next(ready.in_order())] * 2)),
    "wait until now": at_front(lambda ready, view: Wait(view.now_s)),
    "wait until the past": at_front(lambda ready, view: Wait(view.now_s - 1.0)),
    "wait until NaN": at_front(lambda ready, view: Wait(math.nan)),
}


def joins(at: Any, ready: Any, view: Any, **how: Any) -> Dispatch:
    return Dispatch(list(ready.in_order()), **how)


ADMITTED = {
    "nothing": at_instance(lambda at, ready, view: None),
    "nobody, though nobody runs": at_instance(lambda at, ready, view: ... if at.running else Dispatch(())),
    "a stranger": at_instance(lambda at, ready, view: Dispatch([STRANGER])),
    "one twice": at_instance(lambda at, ready, view: Dispatch([r for r in ready.in_order() for _ in range(2)])),
    "leave of a stranger": at_instance(lambda *asked: joins(*asked, preempt=[STRANGER])),
    "no tokens in a step": at_instance(lambda *asked: joins(*asked, chunk_tokens=0)),
    "ask after no steps": at_instance(lambda *asked: joins(*asked, ask_again_after_steps=0)),
    "wait for ever, though nobody runs": at_instance(lambda at, ready, view: ... if at.running else Wait()),
    "wait until now": at_instance(lambda at, ready, view: Wait(view.now_s)),
}


def while_some_run(bad: Callable[[Any, Any], Any]) -> Bad:
    return at_instance(lambda at, ready, view: bad(at, view) if at.running else ...)


CHANGED = {
    "what runs already": while_some_run(lambda at, view: Dispatch([next(iter(at.running.values())).request])),
    "wait until the past": while_some_run(lambda at, view: Wait(view.now_s - 1.0)),
    "wait until NaN": while_some_run(lambda at, view: Wait(math.nan)),
}

# ---------------------------------------------------------------------------------------------- plans


def start_of(f: Any, gpu: Any, upto: str = "kernels", **more: Any) -> Start:
    return Start(f, f.backbone, Placement(gpu), upto, **more)


def go_on(instance: Any, upto: str) -> Start:
    return Start(instance.function, instance.backbone, Placement(instance.gpu, instance.container), upto, instance)


PLANS = {
    "nothing": Case(lambda s, causes, view: None),
    "a text": Case(lambda s, causes, view: Plan(["start something"])),
    "wake now": Case(lambda s, causes, view: Plan((), view.now_s)),
    "wake at NaN": Case(lambda s, causes, view: Plan((), math.nan)),
    "no such stage": Case(lambda s, causes, view: Plan([start_of(view.functions[0], view.gpus[0], "warmth")])),
    "another backbone": Case(
        lambda s, causes, view: Plan(
            [start_of(view.functions[0], view.gpus[0])._replace(backbone=make_functions("llama-2-13b")[0].backbone)]
        )
    ),
    "a copy of a GPU": Case(lambda s, causes, view: Plan([start_of(view.functions[0], copy.copy(view.gpus[0]))])),
    "more than fits": Case(
        lambda s, causes, view: Plan([start_of(view.functions[0], view.gpus[0])] * 5), ("insta-infer",)
    ),
    "two engines on one GPU": Case(
        lambda s, causes, view: Plan([Start(None, view.functions[0].backbone, Placement(view.gpus[0]), "adapter")] * 2),
        ("vllm",),
    ),
    "an engine for all where no process is shared": Case(
        lambda s, causes, view: (
            Plan([Start(None, view.functions[0].backbone, Placement(view.gpus[0]), "adapter")])
            if causes[0].kind is CauseKind.STARTED
            else ...
        ),
        ("serverless-lora",),
    ),
    "a stage that is done": Case(when(idle, lambda i: Plan([go_on(i, "library")])), ("serverless-lora",)),
    "a busy instance goes on": Case(when(running, lambda i: Plan([go_on(i, "kernels")])), ("serverless-lora",)),
    "one goes on twice": Case(
        lambda s, causes, view: next(
            (
                Plan([go_on(i, "kernels")] * 2) if "kernels" not in i.done else Plan([Evict(i, "backbone")])
                for i in idle(view)
            ),
            ...,
        ),
        ("serverless-lora",),
    ),
    "stopped, then goes on": Case(
        lambda s, causes, view: next(
            (
                Plan([Stop(i), go_on(i, "kernels")]) if "kernels" not in i.done else Plan([Evict(i, "backbone")])
                for i in idle(view)
            ),
            ...,
        ),
        ("serverless-lora",),
    ),
    "stop the busy": Case(when(running, lambda i: Plan([Stop(i)]))),
    "stop twice": Case(when(idle, lambda i: Plan([Stop(i), Stop(i)])), ("serverless-lora",)),
    "evict the busy": Case(when(running, lambda i: Plan([Evict(i, "adapter")])), ("serverless-lora",)),
    "evict what is not done": Case(when(idle, lambda i: Plan([Evict(i, "warmth")])), ("serverless-lora",)),
    "evict a mapped backbone": Case(
        when(idle, lambda i: Plan([EvictBackbone(i.gpu, i.backbone)])), ("serverless-lora",)
    ),
    "evict an absent backbone": Case(
        lambda s, causes, view: Plan([EvictBackbone(view.gpus[0], make_functions("llama-2-13b")[0].backbone)]),
        ("serverless-lora",),
    ),
}

# ---------------------------------------------------------------------------------------------- the others

KEEPS = {
    "nothing": lambda s, instance, view: None,
    "no such stage": lambda s, instance, view: (("warmth", view.now_s + 1.0),),
    "until the past": lambda s, instance, view: (("container", view.now_s - 1.0),),
    "until NaN": lambda s, instance, view: (("container", math.nan),),
    "a stage alone": lambda s, instance, view: ("container",),
}
WANTS = {
    "nothing": lambda s, function, view: None,
    "NaN": lambda s, function, view: math.nan,
    "less than none": lambda s, function, view: -1,
    "two and a half": lambda s, function, view: 2.5,
}
LEAVES = {
    "nothing": lambda s, at, view: None,
    "nobody": lambda s, at, view: Preempt(()),
    "all": lambda s, at, view: Preempt([r.request for r in at.running.values()]),
    "a stranger": lambda s, at, view: Preempt([STRANGER]),
    "one twice": lambda s, at, view: Preempt([next(iter(at.running.values())).request] * 2),
}


def cases(table: dict[str, Case]) -> Any:
    each = [(system, name, case.bad) for name, case in table.items() for system in case.systems]
    return pytest.mark.parametrize(("system", "bad"), [pytest.param(s, b, id=f"{s}: {name}") for s, name, b in each])


def plain(table: dict[str, Bad], *systems: str) -> Any:
    return cases({name: Case(bad, systems) for name, bad in table.items()})


def must_refuse(world: Scenario, role: str, method: str, bad: Bad, **of_the_policy: Any) -> None:
    simulation = world.simulation()
    vars(simulation.policies[role]).update(of_the_policy)
    name = type(simulation.policies[role]).__name__
    given = answer_badly(simulation, role, method, bad)

    def run() -> None:
        simulation.run()
        pytest.fail(f"not refused: {given}")

    with pytest.raises(PolicyError, match=rf"^{name} at \d+\.\d+ s: "):
        run()


@cases(ROUTES)
def test_a_bad_route_is_refused(system: str, bad: Bad) -> None:
    must_refuse(scenario(system), "routing", "route", bad)


@cases(PLACES)
def test_a_bad_placement_is_refused(system: str, bad: Bad) -> None:
    must_refuse(scenario(system, PLACED), "placement", "place", bad)


@plain(FORMED, "serverless-lora", "serverless-llm", "insta-infer")
def test_a_bad_batch_is_refused(system: str, bad: Bad) -> None:
    must_refuse(scenario(system), "batching", "next_batch", bad)


@plain(ADMITTED, "serverless-lora", "vllm")
def test_a_bad_admission_is_refused(system: str, bad: Bad) -> None:
    must_refuse(scenario(system), "batching", "next_batch", bad)


@plain(CHANGED, "vllm")
def test_a_bad_change_of_a_running_batch_is_refused(system: str, bad: Bad) -> None:
    must_refuse(scenario(system), "batching", "next_batch", bad)


def test_joining_a_batch_that_ends_as_one_is_refused() -> None:
    functions, rows = make_functions("llama-2-7b"), [(0.1 * i, 0, 100, 400) for i in range(5)]
    world = Scenario("vllm", functions, make_workload(rows), {"completion": "batch_end"}, steps=lambda instance: STEPS)
    with pytest.raises(PolicyError, match="which ends as one"):
        world.run()


def test_more_adapters_than_slots_are_refused() -> None:
    functions = make_functions(*["llama-2-7b"] * 6)
    rows = [(0.0, i % 6, 50, 200) for i in range(12)]
    world = Scenario("vllm", functions, make_workload(rows), steps=lambda instance: STEPS)
    must_refuse(world, "batching", "next_batch", at_instance(lambda at, ready, view: Dispatch(list(ready.in_order()))))


def test_more_kv_than_there_is_is_refused() -> None:
    rows = [(0.0, 0, 1500, 500) for _ in range(40)]
    world = Scenario("vllm", make_functions("llama-2-13b"), make_workload(rows), steps=lambda instance: STEPS)
    must_refuse(world, "batching", "next_batch", at_instance(lambda at, ready, view: Dispatch(list(ready.in_order()))))


@cases(PLANS)
def test_a_bad_plan_is_refused(system: str, bad: Bad) -> None:
    must_refuse(scenario(system), "preloading", "plan", bad, causes=frozenset(CauseKind))


@plain(KEEPS, "serverless-lora", "serverless-llm", "insta-infer")
def test_a_bad_keep_alive_is_refused(system: str, bad: Bad) -> None:
    must_refuse(scenario(system), "keepalive", "keep", bad)


@plain(WANTS, "serverless-llm")
def test_a_bad_number_of_instances_is_refused(system: str, bad: Bad) -> None:
    must_refuse(scenario(system), "scaling", "desired", bad)


@plain(LEAVES, "vllm")
def test_a_bad_preemption_is_refused(system: str, bad: Bad) -> None:
    rows = [(0.0, 0, 800, 2000) for _ in range(20)]
    world = Scenario(system, make_functions("llama-2-13b"), make_workload(rows), steps=lambda instance: STEPS)
    must_refuse(world, "preemption", "preempt", bad)


# What must leave is asked on a GPU with room for one 13B model but not for two: the second function's needs room.
CROWDED = [(0.0, 0, 100, 10), (25.0, 1, 100, 10), (50.0, 0, 100, 10)]


def crowded(bad: Bad) -> None:
    functions = make_functions("llama-2-13b", "llama-2-13b")
    own_containers = {"containers": "dedicated", "placement": "most-free"}
    world = Scenario("insta-infer", functions, make_workload(CROWDED), own_containers, steps=lambda instance: STEPS)
    must_refuse(world, "offloading", "victims", bad)


OFFLOADS = {
    "nothing": lambda s, demand, view: None,
    "a text": lambda s, demand, view: ["the oldest"],
    "a copy": lambda s, demand, view: [Stop(copy.copy(i)) for i in idle(view)],
    "one twice": lambda s, demand, view: [Stop(i) for i in idle(view) for _ in range(2)],
    "a stage that is not done": lambda s, demand, view: [Evict(i, "warmth") for i in idle(view)],
}


@pytest.mark.parametrize("bad", [pytest.param(bad, id=name) for name, bad in OFFLOADS.items()])
def test_a_bad_eviction_is_refused(bad: Bad) -> None:
    crowded(bad)


def test_evicting_the_one_that_asks_is_refused() -> None:
    """The first function keeps its first stages only; on its next request its backbone wants the second's room."""

    def evict(simulation: Simulation, demand: Any, view: Any) -> Any:
        if demand.keep is None:
            return [Evict(i, "context") for i in idle(view)]
        return [Stop(i) for i in idle(view)]

    crowded(evict)
