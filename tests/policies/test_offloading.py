"""Offloading policies: whom FaaSCache lets go, worked out by hand, and the case in which it is first in, first out."""

from __future__ import annotations

from collections.abc import Sequence

from simlora.actions import Demand, Stop
from simlora.entities import Function
from simlora.events import InstanceStarted, InstanceStopped
from simlora.policies.offloading import GreedyDual, LeastRecentlyUsed
from simlora.policies.offloading.greedy_dual import EVICTED
from simlora.testing import Scenario, Snapshot, TableEstimates, World, make_functions, make_workload

CAPACITY_BYTES = 100_000_000_000
F0, F1, F2 = FUNCTIONS = make_functions("llama-2-7b", "llama-2-7b", "llama-2-13b")


def world(*last_used_s: float) -> World:
    """An idle, ready instance of each function on one GPU."""
    view, estimates = Snapshot(1000.0, FUNCTIONS), TableEstimates(shared=False)
    gpu = view.add_gpu(view.add_node(), CAPACITY_BYTES)
    for function, used_s in zip(FUNCTIONS, last_used_s, strict=True):
        done = {stage: estimates.stage_device_bytes(function, stage, gpu) for stage in estimates.stages}
        view.add_instance(function, view.add_container(gpu), done, ready=True, last_used_s=used_s)
    return World(view, {}, (), estimates)


def leaving(policy: GreedyDual | LeastRecentlyUsed, there: World, need_bytes: int = 1) -> list[Function | None]:
    victims = policy.victims(Demand(need_bytes, there.view.gpus[0], None), there.view)
    assert all(isinstance(victim, Stop) for victim in victims)
    return [victim.instance.function for victim in victims if isinstance(victim, Stop)]


def faascache(there: World, calls: Sequence[Function]) -> GreedyDual:
    policy = GreedyDual()
    policy.bind(there.context())
    for number, function in enumerate(calls):
        policy.observe_arrival(function, float(number))
        if function not in calls[:number]:
            policy.observe(InstanceStarted(float(number), function.index, function, 0, function.index, True, ""))
    return policy


def test_the_seldom_called_goes_before_the_often_called() -> None:
    there = world(900.0, 800.0, 700.0)
    assert leaving(faascache(there, [F0, F1, F1, F2, F2]), there) == [F0]


def test_of_equally_called_functions_the_larger_goes_first() -> None:
    """13B takes as many seconds to start as 7B in these estimates, and more bytes."""
    there = world(700.0, 800.0, 900.0)
    assert leaving(faascache(there, [F0, F1, F2]), there) == [F2]


def test_the_clock_of_an_eviction_lifts_what_is_called_after_it() -> None:
    """With densities of 1 for F0 and F1 and about 0.5 for F2: 2, 1 and 1.6; F1 comes back at the clock of 1, with 2."""
    there = world(900.0, 800.0, 950.0)
    policy = faascache(there, [F0, F1, F2, F2, F2])
    policy.observe_arrival(F0, 5.0)
    assert leaving(policy, there) == [F1]
    policy.observe(InstanceStopped(6.0, 1, F1, 0, EVICTED))
    policy.observe_arrival(F1, 7.0)
    policy.observe(InstanceStarted(7.0, 3, F1, 0, 3, True, ""))
    assert leaving(policy, there) == [F2]


def test_calls_are_forgotten_with_the_last_instance() -> None:
    """Of priority 3 when it goes, F0 comes back with 3 + 1, below F1's 5; with its old calls it would have 3 + 4."""
    there = world(900.0, 800.0, 950.0)
    policy = faascache(there, [F0] * 3 + [F1] * 5 + [F2] * 12)
    policy.observe(InstanceStopped(20.0, 0, F0, 0, EVICTED))
    policy.observe_arrival(F0, 21.0)
    policy.observe(InstanceStarted(21.0, 3, F0, 0, 3, True, ""))
    assert leaving(policy, there) == [F0]


def test_an_end_by_keep_alive_moves_no_clock() -> None:
    there = world(900.0, 800.0, 700.0)
    one, other = faascache(there, [F0, F1, F2]), faascache(there, [F0, F1, F2])
    one.observe(InstanceStopped(6.0, 2, F2, 0, "keep-alive is over"))
    for policy in (one, other):
        policy.observe_arrival(F0, 8.0)
    assert repr(one._cached[F0]) == repr(other._cached[F0])


def test_nothing_leaves_if_all_of_it_is_too_little() -> None:
    there = world(900.0, 800.0, 700.0)
    assert leaving(faascache(there, [F0, F1, F2]), there, CAPACITY_BYTES) == []
    assert leaving(LeastRecentlyUsed(), there, CAPACITY_BYTES) == []


def test_called_in_turn_on_a_full_gpu_it_is_least_recently_used() -> None:
    """Equal functions called once per stay: the clock at the call alone counts, which is the order of use."""
    functions = make_functions(*["llama-2-7b"] * 4)
    calls = [(60.0 * n, n % 4, 100, 10) for n in range(12)]
    keys = {"keepalive": "forever", "preloading": "none", "placement": "most-free"}
    records = [
        Scenario("insta-infer", functions, make_workload(calls), {**keys, "offloading": policy}).run()
        for policy in ("faascache", "lru")
    ]
    stops = [
        [(row["at_s"], row["function"]) for row in record.events.to_pylist() if row["kind"] == "instance_stopped"]
        for record in records
    ]
    assert stops[0] == stops[1]
    assert len(stops[0]) > 4
