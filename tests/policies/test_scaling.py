"""Scaling policies: what they want, worked out by hand, and the case in which two are one."""

from __future__ import annotations

from typing import Any

import pytest

from simlora.cluster.config import ClusterConfig
from simlora.entities import QueuedRequest
from simlora.policies.scaling import Ongoing, QueueBased
from simlora.testing import Scenario, Snapshot, make_functions, make_workload
from simlora.testing.worlds import CAPACITY_BYTES
from simlora.views import InstanceState

(FUNCTION,) = make_functions("llama-2-7b")


def world(waiting: int, starting: int = 0, ready: int = 0) -> Snapshot:
    view = Snapshot(10.0, [FUNCTION])
    gpu = view.add_gpu(view.add_node(), CAPACITY_BYTES)
    for number in range(starting + ready):
        state = InstanceState.STARTING if number < starting else InstanceState.IDLE
        view.add_instance(FUNCTION, view.add_container(gpu), {"container": 0}, state=state, ready=number >= starting)
    for number in range(waiting):
        view.add_request(QueuedRequest(number, FUNCTION, 5.0, 100, 100))
    return view


@pytest.mark.parametrize(
    ("waiting", "starting", "ready", "desired"),
    [
        *[(0, 0, 0, 0), (1, 0, 0, 1), (8, 0, 0, 1), (9, 0, 0, 2), (33, 0, 0, 4), (80, 0, 0, 4)],
        *[(80, 4, 0, 8), (9, 1, 0, 2), (8, 1, 0, 1), (3, 2, 0, 2), (9, 0, 3, 5), (0, 0, 3, 3)],
    ],
)
def test_queue_based_starts_for_what_is_queued_beyond_what_is_starting(
    waiting: int, starting: int, ready: int, desired: int
) -> None:
    assert QueueBased().desired(FUNCTION, world(waiting, starting, ready)) == desired


@pytest.mark.parametrize("waiting", range(12))
def test_from_nothing_one_request_each_both_want_as_many(waiting: int) -> None:
    view = world(waiting)
    ongoing = Ongoing(target=1, step=5, max_instances=100)
    assert QueueBased(per_instance=1, at_once=5).desired(FUNCTION, view) == ongoing.desired(FUNCTION, view)


def starts(scaling: dict[str, Any]) -> list[float]:
    rows = [(0.1 + 0.001 * n, 0, 200, 300) for n in range(20)]
    overrides = {"scaling": scaling, "routing": {"policy": "round-robin", "target": 8}, "batching.size": 8}
    cluster = ClusterConfig(nodes=2, gpus_per_node=4)
    record = Scenario("serverless-llm", [FUNCTION], make_workload(rows), overrides, cluster).run()
    return [row["at_s"] for row in record.events.to_pylist() if row["kind"] == "instance_started"]


def test_a_burst_starts_as_many_as_it_fills_and_no_more_while_they_start() -> None:
    assert starts({"policy": "queue-based"}) == [1.0, 1.0, 1.0]
    assert starts({"policy": "queue-based", "at_once": 2}) == [1.0, 1.0, 2.0]
