"""Law 3: a bad batch, admission or change of a running batch is refused, and never repaired."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from simlora.actions import Dispatch, Wait
from simlora.errors import PolicyError
from simlora.testing.refusals import STEPS, STRANGER, Bad, must_refuse, plain, scenario
from simlora.testing.scenario import Scenario, make_functions, make_workload

pytestmark = pytest.mark.usefixtures("no_hang")


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
