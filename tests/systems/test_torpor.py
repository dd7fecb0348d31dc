"""Torpor: its rules by hand, and what they do in a run on GPUs that stand in pairs behind switches."""

from __future__ import annotations

from typing import Any

import pytest

from simlora.actions import ColdStart, Demand, Dispatch, Placement, Stop, ToInstance
from simlora.cluster.config import ClusterConfig
from simlora.engine import RunRecord
from simlora.entities import Function, QueuedRequest
from simlora.latency import load_gpu
from simlora.policies.batching import SloClasses
from simlora.policies.offloading import LightFirst
from simlora.policies.placement import PcieAware
from simlora.policies.routing import FreeGpu
from simlora.testing import Scenario, Snapshot, TableEstimates, World, make_functions, make_workload
from simlora.testing.views import FrozenGpu, FrozenInstance
from simlora.testing.worlds import CAPACITY_BYTES
from simlora.views import InstanceState

HEAVY, OTHER, LIGHT = FUNCTIONS = make_functions("llama-2-13b", "llama-2-13b", "llama-2-7b")
PAIRS = ClusterConfig(nodes=1, gpus_per_node=4, node_type="l40s-pairs")


class Swaps(TableEstimates):
    """A swap takes 4 s for 13B and 0.1 s for 7B; a warm request's first token 0.2 s."""

    def start_s(self, function: Function, done: Any, gpu: Any = None) -> float:
        return 0.1 if function is LIGHT else 4.0


ESTIMATES = Swaps(shared=False)


class Node:
    """Four GPUs in pairs."""

    def __init__(self) -> None:
        self.view = Snapshot(100.0, FUNCTIONS)
        node = self.view.add_node()
        self.gpus: list[FrozenGpu] = []
        for n in range(4):
            beside = self.gpus[-1] if n % 2 else None
            self.gpus.append(self.view.add_gpu(node, CAPACITY_BYTES, beside))

    def add(self, function: Function, gpu: int, state: InstanceState, last_used_s: float = 0.0) -> FrozenInstance:
        done = {stage: ESTIMATES.stage_device_bytes(function, stage) for stage in ESTIMATES.stages}
        container = self.view.add_container(self.gpus[gpu])
        return self.view.add_instance(function, container, done, state=state, ready=True, last_used_s=last_used_s)

    def bound(self, policy: Any) -> Any:
        policy.bind(World(self.view, {}, (), ESTIMATES).context())
        return policy


STARTING, BUSY, IDLE = InstanceState.STARTING, InstanceState.BUSY, InstanceState.IDLE


@pytest.mark.parametrize(
    ("there", "chosen"),
    [
        ([], 0),
        ([(HEAVY, 0, STARTING)], 2),
        ([(HEAVY, 0, STARTING), (LIGHT, 2, STARTING)], 3),
        ([(HEAVY, 0, STARTING), (HEAVY, 2, STARTING)], 1),
        ([(HEAVY, 0, BUSY)], 1),
        ([(HEAVY, 0, STARTING), (HEAVY, 2, BUSY), (HEAVY, 3, BUSY)], 1),
        ([(HEAVY, gpu, BUSY) for gpu in range(4)], None),
        ([(OTHER, 0, IDLE), (HEAVY, 2, STARTING)], 1),
        ([(OTHER, 0, IDLE), (LIGHT, 1, IDLE), (HEAVY, 2, STARTING)], 1),
    ],
)
def test_the_gpu_is_free_and_its_switch_quiet(there: list[Any], chosen: int | None) -> None:
    node = Node()
    for function, gpu, state in there:
        node.add(function, gpu, state)
    place = node.bound(PcieAware()).place(HEAVY, node.view.places(1), node.view)
    assert place == (None if chosen is None else Placement(node.gpus[chosen]))


def test_second_replicas_go_first_then_light_models_then_the_least_recently_used() -> None:
    node = Node()
    heavy = node.add(HEAVY, 0, IDLE, last_used_s=10.0)
    light = node.add(LIGHT, 0, IDLE, last_used_s=90.0)

    def leaves(need_bytes: int) -> list[Any]:
        return list(node.bound(LightFirst()).victims(Demand(need_bytes, node.gpus[0], None), node.view))

    assert [stop.instance for stop in leaves(1)] == [light]
    assert [stop.instance for stop in leaves(CAPACITY_BYTES // 2)] == [light, heavy]
    node.add(HEAVY, 2, IDLE, last_used_s=5.0)
    assert [stop.instance for stop in leaves(1)] == [heavy]
    assert all(isinstance(stop, Stop) for stop in leaves(1))


def test_required_requests() -> None:
    """Of 9 served 7 in time, p = 0.9: 11 more in time make it 18 of 20."""
    policy = SloClasses(percentile=0.9)
    for number in range(9):
        late = HEAVY.slo_ttft_s * (2.0 if number < 2 else 1.0)
        policy.observe_served(QueuedRequest(number, HEAVY, 50.0, 1, 1), 50.0 + late)
    assert policy.required(HEAVY) == pytest.approx(11.0)
    assert pytest.approx(0.9) == (7 + 11) / (9 + 11)
    assert policy.required(LIGHT) == 0.0


def test_who_is_far_behind_waits_for_the_others() -> None:
    node = Node()
    requests = [QueuedRequest(0, HEAVY, 50.0, 1, 1), QueuedRequest(1, LIGHT, 60.0, 1, 1)]
    for request in requests:
        node.view.add_request(request)

    def first(threshold: float) -> QueuedRequest:
        policy = node.bound(SloClasses(percentile=0.9, threshold=threshold))
        policy.observe_served(QueuedRequest(9, HEAVY, 10.0, 1, 1), 40.0)
        answer = policy.next_batch(None, node.view.front, node.view)
        assert isinstance(answer, Dispatch)
        return answer.admit[0]

    assert first(threshold=9.1) is requests[0]
    assert first(threshold=8.9) is requests[1]


def run(rows: list[Any], functions: int, **overrides: Any) -> RunRecord:
    made = make_functions(*["llama-2-7b"] * functions)
    return Scenario("torpor", made, make_workload(rows), overrides, PAIRS).run()


def swaps(record: RunRecord) -> list[tuple[int, float]]:
    return [(row["gpu"], row["seconds"]) for row in record.events.to_pylist() if row["stage"] == "backbone"]


def test_calls_at_once_load_behind_different_switches() -> None:
    """Which halves the swap of two against a placement that does not look."""
    rows = [(0.0, 0, 100, 5), (0.0, 1, 100, 5)]
    alone_s = make_functions("llama-2-7b")[0].backbone.weights_bytes / load_gpu("l40s").pcie_bytes_per_s
    aware, blind = swaps(run(rows, 2)), swaps(run(rows, 2, placement="most-free"))
    assert [gpu for gpu, _ in aware] == [0, 2]
    assert [seconds for _, seconds in aware] == pytest.approx([alone_s] * 2)
    assert [gpu for gpu, _ in blind] == [0, 1]
    assert [seconds for _, seconds in blind] == pytest.approx([2 * alone_s] * 2)


def test_a_gpu_serves_one_function_at_a_time_and_the_fifth_waits() -> None:
    rows = [(0.01 * f, f, 100, 50) for f in range(5)]
    requests = run(rows, 5).requests.to_pandas()
    assert requests["first_token_s"][4] > requests["finished_s"][:4].min()
    usage = run(rows, 5).usage.to_pandas()
    busy = usage[usage["state"] == "busy"]
    for _, rows_of_gpu in busy.groupby("gpu"):
        ordered = rows_of_gpu.sort_values("from_s")
        assert (ordered["from_s"].to_numpy()[1:] >= ordered["to_s"].to_numpy()[:-1] - 1e-9).all()


def test_a_model_on_a_gpu_in_use_does_not_help() -> None:
    node = Node()
    request = QueuedRequest(0, LIGHT, 50.0, 1, 1)
    node.add(LIGHT, 0, IDLE)
    node.add(HEAVY, 0, BUSY)
    assert isinstance(FreeGpu().route([request], LIGHT, node.view), ColdStart)
    later = node.add(LIGHT, 1, IDLE, last_used_s=7.0)
    node.add(LIGHT, 2, IDLE, last_used_s=5.0)
    answer = FreeGpu().route([request], LIGHT, node.view)
    assert isinstance(answer, ToInstance)
    assert answer.instance is later
