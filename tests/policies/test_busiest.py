"""Punica's rules: fill the busiest GPU, send away the newest where KV is full, ask for one more when none is light."""

from __future__ import annotations

from typing import Any

import pytest

from simlora.cluster.config import ClusterConfig
from simlora.engine import Simulation
from simlora.testing.scenario import ROW, Scenario, make_functions, make_workload
from simlora.testing.steps import ConstantSteps

STEPS = ConstantSteps(0.05)


def punica(*rows: ROW, backbone: str = "llama-2-7b", gpus: int = 2, **keys: Any) -> Scenario:
    cluster = ClusterConfig(nodes=1, gpus_per_node=gpus)
    made = make_functions(backbone, backbone)
    return Scenario("punica", made, make_workload(rows), keys, cluster, steps=lambda instance: STEPS)


def routed(simulation: Simulation) -> list[tuple[int, int, int]]:
    """(request, prompt tokens, instance) of every routing to an instance, in order."""
    policy, log = simulation.policies["routing"], list[tuple[int, int, int]]()
    ask = policy.route

    def route(work: Any, function: Any, view: Any) -> Any:
        answer = ask(work, function, view)
        if hasattr(answer, "instance"):
            log.append((work[0].index, work[0].prompt_tokens, answer.instance.id))
        return answer

    policy.route = route
    return log


def test_work_goes_to_the_busiest_engine_until_it_is_full() -> None:
    """Three requests start an engine each of the two; from then on newcomers join the fuller one, of three at most."""
    rows = [(0.0, 0, 100, 2000), (40.0, 0, 100, 2000), (41.0, 1, 100, 2000), (42.0, 0, 100, 2000), (90.0, 1, 100, 9)]
    simulation = punica(*rows, routing={"policy": "busiest", "most": 3}, scaling="on-demand").simulation()
    log = routed(simulation)
    record = simulation.run()
    assert [instance for _, _, instance in log[:2]] == [0, 0]
    assert log[-1][2] == 1
    starts = [row for row in record.events.to_pylist() if row["kind"] == "instance_started"]
    assert [row["at_s"] for row in starts] == [0.0, 42.0]


def test_who_leaves_a_full_engine_goes_on_at_another_with_what_it_has() -> None:
    rows = [(0.001 * i, 0, 1000, 900) for i in range(14)]
    simulation = punica(*rows, backbone="llama-2-13b", scaling="on-demand").simulation()
    log = routed(simulation)
    record = simulation.run()
    assert record.requests["outcome"].to_pylist() == ["finished"] * 14
    away = [(index, instance) for index, prompt, instance in log if prompt > 1000]
    assert away
    assert {instance for _, instance in away} == {1}
    # the first of them started the other engine
    assert sum(record.requests["preemptions"].to_pylist()) == len(away) + 1
    stamps = record.requests.to_pandas()[["arrived_s", "bound_s", "started_s", "first_token_s", "finished_s"]]
    assert (stamps.diff(axis=1).iloc[:, 1:] >= 0).all().all()


@pytest.mark.parametrize(("requests", "engines"), [(2, 1), (3, 2)])
def test_one_engine_more_is_asked_for_when_none_is_light(requests: int, engines: int) -> None:
    rows = [(0.001 * i, 0, 100, 800) for i in range(requests)]
    record = punica(*rows, scaling={"policy": "one-light", "light": 3}).run()
    kinds = record.events["kind"].to_pylist()
    assert kinds.count("instance_started") == engines
    assert kinds.count("instance_stopped") == engines
