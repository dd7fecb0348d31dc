"""Keep-alive policies: special cases in which they equal one another, and their rules worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from simlora.entities import Function
from simlora.errors import ConfigError
from simlora.policies.keepalive import BreakEven, Fixed, Forever, NoKeepAlive, RainbowCake
from simlora.results.prices import GpuRate, HostRate, load_price
from simlora.testing import Scenario, Snapshot, TableEstimates, World, make_functions, make_workload
from simlora.testing.worlds import CAPACITY_BYTES

CALLS = [(0.0, 0, 100, 10), (3.0, 1, 100, 30), (40.0, 0, 100, 10), (95.0, 1, 200, 10), (400.0, 0, 100, 10)]


def tables(keepalive: dict[str, Any], system: str) -> list[str]:
    functions = make_functions("llama-2-7b", "llama-2-7b")
    record = Scenario(system, functions, make_workload(CALLS), {"keepalive": keepalive}).run()
    return [repr(table.to_pylist()) for table in (record.requests, record.usage, record.events)]


@pytest.mark.parametrize("system", ["insta-infer", "serverless-lora"])
@pytest.mark.parametrize(("seconds", "policy"), [(0.0, "none"), (math.inf, "forever")])
def test_the_ends_of_fixed_are_none_and_forever(system: str, seconds: float, policy: str) -> None:
    fixed = tables({"policy": "fixed", "idle_s": seconds}, system)
    assert fixed == tables({"policy": policy}, system)
    assert fixed != tables({"policy": "fixed", "idle_s": 50.0}, system)


def idle_world(functions: Sequence[Function], arrivals: Sequence[tuple[Function, float]], now_s: float) -> World:
    """One idle, ready instance of the first function on one GPU."""
    view, estimates = Snapshot(now_s, functions), TableEstimates(shared=False)
    gpu = view.add_gpu(view.add_node(), CAPACITY_BYTES)
    done = {stage: estimates.stage_device_bytes(functions[0], stage, gpu) for stage in estimates.stages}
    view.add_instance(functions[0], view.add_container(gpu), done, ready=True, has_run=True, last_used_s=now_s)
    return World(view, {}, arrivals, estimates)


def kept(policy: Any, world: World) -> dict[str, float]:
    if hasattr(policy, "bind"):
        policy.bind(world.context())
    if hasattr(policy, "observe_arrival"):
        for function, at_s in world.arrivals:
            policy.observe_arrival(function, at_s)
    return {str(stage): at_s - world.view.now_s for stage, at_s in policy.keep(world.view.instances[0], world.view)}


@pytest.mark.parametrize(("policy", "seconds"), [(Fixed(7.0), 7.0), (Forever(), math.inf), (NoKeepAlive(), 0.0)])
def test_constants(policy: Any, seconds: float) -> None:
    assert kept(policy, idle_world(make_functions("llama-2-7b"), (), 100.0)) == {"container": seconds}


def test_rainbowcake_takes_layers_back_by_the_calls_of_all_they_serve() -> None:
    """Gaps (now - oldest) / calls: 100 s for f0, 50 s for its backbone, 200 / 6 s for all; then clamped at 60 s."""
    functions = make_functions("llama-2-7b", "llama-2-7b", "llama-2-13b")
    f0, f1, f2 = functions
    arrivals = [(f0, 800.0), (f1, 810.0), (f2, 830.0), (f1, 850.0), (f0, 900.0), (f2, 950.0)]
    layers = kept(RainbowCake(), idle_world(functions, arrivals, 1000.0))
    ln5 = math.log(5.0)
    assert layers["adapter"] == pytest.approx(100.0 * ln5)
    assert layers["context"] == pytest.approx(100.0 * ln5 + 50.0 * ln5)
    assert layers["container"] == pytest.approx(150.0 * ln5 + 60.0)


def test_rainbowcake_forgets_calls_of_yesterday_and_more_than_it_counts() -> None:
    functions = make_functions("llama-2-7b")
    old = [(functions[0], 0.0), (functions[0], 10.0)]
    assert kept(RainbowCake(), idle_world(functions, old, 90_000.0))["adapter"] == 600.0
    calls = [(functions[0], at_s) for at_s in (0.0, 500.0, 600.0, 700.0)]
    assert kept(RainbowCake(calls=2), idle_world(functions, calls, 800.0))["adapter"] == pytest.approx(
        100.0 * math.log(5.0)
    )


def stay_s(rate_per_s: float, load_s: float, ratio: float) -> float:
    """The fixed point t = ratio load (1 - exp(-rate t)), by going there from above."""
    longest_s = stay = ratio * load_s
    for _ in range(10_000):
        stay = longest_s * -math.expm1(-rate_per_s * stay)
    return stay


@pytest.mark.parametrize("gap_s", [5.0, 20.0, 60.0, 200.0])
def test_break_even_solves_its_equation(gap_s: float) -> None:
    """Under a list by the card all stages leave as one; an idle second costs a quarter of an active one."""
    functions = make_functions("llama-2-7b")
    price = load_price("modal-2026-05")
    card = price.model_copy(
        update={"gpus": {"l40s": GpuRate(active_credits=1.0, idle_credits=0.25)}, "host": HostRate()}
    )
    world = idle_world(functions, [(functions[0], 1000.0 + gap_s * n) for n in range(10)], 1000.0 + 9 * gap_s)
    policy = BreakEven()
    policy.bind(replace(world.context(), rates=card.rates(["l40s"])))
    ((stage, at_s),) = policy.keep(world.view.instances[0], world.view)
    start_s = world.estimates.start_s(functions[0], {})
    assert stage == "container"
    assert at_s - world.view.now_s == pytest.approx(stay_s(1.0 / gap_s, start_s, 4.0), abs=1e-6)


def test_break_even_of_a_busy_function_is_the_ratio_of_prices_times_the_seconds() -> None:
    """Alibaba's list: the backbone and what comes after it, at 6 : 1 of the GPU's price and the start's processors."""
    functions = make_functions("llama-2-7b")
    world = idle_world(functions, [(functions[0], 900.0 + 0.01 * n) for n in range(10)], 900.09)
    layers = kept(BreakEven(), world)
    instance = world.view.instances[0]
    gb = sum(instance.done.values()) / 2**30
    late = world.estimates.stages[3:]
    late_gb = sum(instance.done[stage] for stage in late) / 2**30
    host = 0.15 * 0.6e9 / 2**30 + 2.0
    expected = (1.5 * gb + host) / (0.25 * late_gb) * sum(world.estimates.seconds[stage] for stage in late)
    assert layers["backbone"] == pytest.approx(expected)
    assert list(layers.values()) == sorted(layers.values(), reverse=True)
    assert layers["container"] == 3600.0


def test_break_even_keeps_nothing_that_is_seldom_called_or_free_to_load() -> None:
    functions = make_functions("llama-2-7b")
    assert set(kept(BreakEven(), idle_world(functions, (), 100.0)).values()) == {0.0}
    world = idle_world(functions, [(functions[0], 90.0), (functions[0], 95.0)], 100.0)
    policy = BreakEven()
    free = load_price("alibaba-fc-2024-08").model_copy(update={"startup_billed": False})
    policy.bind(replace(world.context(), rates=free.rates(["l40s"])))
    answer = dict(policy.keep(world.view.instances[0], world.view))
    assert answer["backbone"] == 100.0


def test_break_even_asks_for_a_price_list() -> None:
    world = idle_world(make_functions("llama-2-7b"), (), 100.0)
    with pytest.raises(ConfigError, match="price"):
        BreakEven().bind(replace(world.context(), rates=None))


def test_a_system_that_weighs_prices_runs_by_the_list_it_names() -> None:
    functions = make_functions("llama-2-7b")
    calls = make_workload([(20.0 * n, 0, 100, 10) for n in range(8)])
    cold = []
    for price in ("alibaba-fc-2024-08", "modal-2026-05"):
        overrides = {"keepalive": "break-even", "price": price, "preloading": "none"}
        cold.append(sum(Scenario("insta-infer", functions, calls, overrides).run().requests["cold"].to_pylist()))
    assert cold[0] < cold[1]
