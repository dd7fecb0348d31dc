"""Prefetching by forecast: who is loaded, who leaves for it, what stays free; a call then finds its adapter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from simlora.actions import DropAdapter, LoadAdapter
from simlora.entities import Function
from simlora.events import Cause, CauseKind
from simlora.policies.preloading import PrefetchLikely
from simlora.testing import Scenario, Snapshot, World, make_functions, make_workload
from simlora.testing.estimates import TableEstimates
from simlora.testing.steps import ConstantSteps
from simlora.testing.worlds import CAPACITY_BYTES

F0, F1, F2, F3 = FUNCTIONS = make_functions(*["llama-2-7b"] * 4)
SIZE_BYTES = F0.adapter_shard_bytes


class Rates:
    """A forecast that says what it is told to."""

    def __init__(self, per_s: dict[Function, float]) -> None:
        self.per_s = per_s

    def observe_arrival(self, function: Function, at_s: float) -> None:
        """Nothing to learn."""

    def rate_per_s(self, function: Function, now_s: float) -> float:
        return self.per_s.get(function, 0.0)


def bind(policy: PrefetchLikely, view: Snapshot, rates: dict[Function, float]) -> None:
    context = World(view, {}, (), TableEstimates(paged=True)).context()
    policy.bind(replace(context, forecast=Rates(rates)))


def planned(
    rates: dict[Function, float],
    resident: Sequence[Function] = (),
    *,
    places: float = 9,
    now_s: float = 125.0,
    **engine: Any,
) -> tuple[list[str], float | None]:
    """What is done to an engine with room for so many adapters beside what is kept free, and the next look."""
    view = Snapshot(now_s, FUNCTIONS)
    gpu = view.add_gpu(view.add_node(), CAPACITY_BYTES)
    rest_bytes = CAPACITY_BYTES - int(places * SIZE_BYTES / 0.5)
    made = {"backbone": F0.backbone, "ready": True, "resident": resident, "adapter_slots": 9, "kv_bytes": rest_bytes}
    view.add_instance(None, view.add_container(gpu), {"container": 0}, **(made | engine))
    policy = PrefetchLikely(threshold=0.5, horizon_s=60.0, kept_free=0.5)
    bind(policy, view, rates)
    plan = policy.plan([Cause(CauseKind.STARTED)], view)
    said = {LoadAdapter: "+", DropAdapter: "-"}
    return [said[type(action)] + action.function.id for action in plan.actions], plan.wake_at_s


def test_who_is_likely_is_loaded_the_likeliest_first() -> None:
    """A chance of one half within a minute is 0.01155 calls a second."""
    loads, wake_at_s = planned({F0: 0.0117, F1: 0.0114, F2: 0.5, F3: 0.5})
    assert loads == ["+f2", "+f3", "+f0"]
    assert wake_at_s == 180.0


@pytest.mark.parametrize(
    ("engine", "done"),
    [
        ({"places": 2.1}, ["+f0", "+f1"]),
        ({"places": 2.1, "resident": (F2, F3)}, ["-f2", "+f0", "-f3", "+f1"]),
        ({"places": 2.1, "resident": (F3, F0)}, ["-f3", "+f1"]),
        ({"places": 0.9}, []),
        ({"places": 0.9, "resident": (F2,)}, []),
        ({"adapter_slots": 1}, ["+f0"]),
        ({"adapter_slots": 2, "resident": (F3,)}, ["+f0", "-f3", "+f1"]),
        ({"adapter_slots": 1, "loading": (F3,)}, []),
        ({"planned": (F0,)}, ["+f1"]),
        ({"planned": (F0,), "adapter_slots": 1}, []),
        ({"planned": (F0,), "places": 1.9}, []),
        ({"loading": (F0,)}, ["+f1"]),
        ({"ready": False}, []),
    ],
)
def test_room_is_made_by_those_less_likely_and_never_by_the_likely(engine: dict[str, Any], done: list[str]) -> None:
    assert planned({F0: 1.0, F1: 0.5}, **engine)[0] == done


@pytest.mark.parametrize("horizon_s", [0.1, 0.3, 60.0, 1e-3])
def test_the_next_look_is_always_later(horizon_s: float) -> None:
    policy = PrefetchLikely(horizon_s=horizon_s)
    bind(policy, Snapshot(0.0, FUNCTIONS), {})
    now_s: float | None = 0.0
    for _ in range(1000):
        assert now_s is not None
        wake_at_s = policy.plan([Cause(CauseKind.WOKEN)], Snapshot(now_s, FUNCTIONS)).wake_at_s
        assert wake_at_s is not None
        assert now_s < wake_at_s <= now_s + 2 * horizon_s
        now_s = wake_at_s


def first_tokens(**keys: Any) -> list[float]:
    """Seconds to the first token of a function that calls once a minute, the engine keeping no adapter that is idle."""
    rows = [(60.0 * minute + 30.0, 0, 100, 10) for minute in range(8)]
    keys = {"adapters": "drop-unused", "forecast": "ewma"} | keys
    clock = ConstantSteps(0.05)
    scenario = Scenario(
        "predictive-lora", make_functions("llama-2-7b"), make_workload(rows), keys, steps=lambda at: clock
    )
    return [row["first_token_s"] - row["arrived_s"] for row in scenario.run().requests.to_pylist()]


def test_a_call_that_was_foreseen_finds_its_adapter() -> None:
    load_s = 0.0045 + SIZE_BYTES / 24e9
    never = first_tokens(rebalancing="none")
    assert max(never) == pytest.approx(min(never))
    foreseen = first_tokens()
    assert never[0] - foreseen[0] == pytest.approx(0.0, abs=1e-9)
    assert never[-1] - foreseen[-1] == pytest.approx(load_s, abs=1e-3)
