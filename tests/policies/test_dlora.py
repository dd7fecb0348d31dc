"""dLoRA's decisions: which mode, whose turn, where to."""

from __future__ import annotations

from collections import deque

import pytest

from simlora.actions import Dispatch, ToInstance, Wait
from simlora.entities import Function, QueuedRequest
from simlora.policies.batching.dlora import CREDIT, CreditBatching
from simlora.policies.routing.least_cost import LeastCost
from simlora.testing.estimates import STAGES, TableEstimates
from simlora.testing.scenario import make_functions
from simlora.testing.snapshot import Snapshot
from simlora.testing.views import FrozenInstance, FrozenRunning
from simlora.testing.worlds import World
from simlora.views import InstanceState

CAPACITY_BYTES = 80_000_000_000


class Replica:
    """An engine of three functions with requests that run and wait, named by the functions' numbers."""

    def __init__(self, running: str, waiting: str, merged: int | None = None, now_s: float = 10.0):
        self.functions = make_functions(*["llama-2-7b"] * 3)
        self.view = Snapshot(now_s, self.functions, one_for_all=True)
        gpu = self.view.add_gpu(self.view.add_node(), CAPACITY_BYTES)
        requests = [self.request(index, int(name)) for index, name in enumerate(running + waiting)]
        queues: dict[Function, deque[QueuedRequest]] = {}
        for request in requests[len(running) :]:
            queues.setdefault(request.function, deque()).append(request)
        self.ready = self.view.add_queues(queues)
        self.at: FrozenInstance = self.view.add_instance(
            None,
            self.view.add_container(gpu),
            dict.fromkeys(STAGES, 0),
            backbone=self.functions[0].backbone,
            state=InstanceState.BUSY,
            ready=True,
            running=[FrozenRunning(request, 100) for request in requests[: len(running)]],
            adapter_slots=3,
            merged=self.functions[merged] if merged is not None else None,
        )

    def request(self, index: int, function: int) -> QueuedRequest:
        return QueuedRequest(index, self.functions[function], 0.0, 100, 100)

    def policy(self, **keys: float) -> CreditBatching:
        policy = CreditBatching(**keys)  # type: ignore[arg-type]
        policy.bind(World(self.view, {}, (), TableEstimates()).context())
        return policy

    def decide(self, policy: CreditBatching) -> tuple[str, int | None]:
        """Who joins, and whose adapter is merged."""
        answer = policy.next_batch(self.at, self.ready, self.view)
        if isinstance(answer, Wait):
            return "", self.at.merged.index if self.at.merged is not None else None
        joining = "".join(str(request.function.index) for request in answer.admit)
        return joining, answer.merge.index if answer.merge is not None else None


@pytest.mark.parametrize(
    ("running", "waiting", "merged", "decision"),
    [
        ("", "000", None, ("000", 0)),
        ("00", "", None, ("", 0)),
        ("00", "01", None, ("01", None)),
        ("", "012", None, ("012", None)),
        ("00", "01", 0, ("0", 0)),
        ("00", "0111", 0, ("0111", None)),
        ("001", "", 0, ("", 0)),
        ("11", "", 0, ("", 1)),
    ],
)
def test_one_adapter_is_merged_while_enough_of_the_batch_is_of_it(
    running: str, waiting: str, merged: int | None, decision: tuple[str, int | None]
) -> None:
    replica = Replica(running, waiting, merged)
    assert replica.decide(replica.policy()) == decision


def test_an_adapter_in_debt_is_not_merged() -> None:
    replica = Replica("", "000")
    policy = replica.policy()
    replica.decide(policy)
    engine = policy._engines[replica.at.id]
    engine.credits[replica.functions[0]] = -1.0
    assert replica.decide(policy) == ("000", None)


def test_who_is_passed_over_earns_credit_from_who_is_favoured_until_it_goes_first() -> None:
    replica = Replica("00", "01", 0)
    policy = replica.policy(max_num_seqs=4)
    assert replica.decide(policy) == ("0", 0)
    engine = policy._engines[replica.at.id]
    first, second, _ = replica.functions
    replica.view.now_s = 10.0 + 0.015 * 80
    replica.decide(policy)
    assert engine.credits[second] == pytest.approx(2 * CREDIT + 80 * 27 / 15 / 4)
    assert engine.credits[first] == pytest.approx(2 * CREDIT - 80 * 27 / 15 / 4)
    engine.credits[second] = 3 * CREDIT
    assert replica.decide(policy) == ("1", None)
    engine.credits[second] = 3 * CREDIT - 4_999.0
    assert replica.decide(policy) == ("1", None)
    engine.credits[second] = 3 * CREDIT - 5_001.0
    assert replica.decide(policy) == ("0", 0)


@pytest.mark.parametrize(
    ("merged", "mode", "other", "right", "left"),
    [
        (True, 900.0, 800.0, 0.95, 15 / 27),
        (True, 700.0, 800.0, 1.1, 15 / 27),
        (False, 900.0, 800.0, 1.0, 15 / 27 + 0.05),
        (False, 700.0, 800.0, 1.0, 15 / 27 / 1.1),
    ],
)
def test_the_threshold_of_a_mode_moves_when_it_is_left(
    merged: bool, mode: float, other: float, right: float, left: float
) -> None:
    replica = Replica("", "000")
    policy = replica.policy()
    replica.decide(policy)
    engine = policy._engines[replica.at.id]
    engine.merged, engine.tokens, engine.seconds = merged, mode, 1.0
    engine.tokens_per_s = {not merged: other}
    policy._judge(engine)
    assert (engine.right, engine.left) == (pytest.approx(right), pytest.approx(left))


def test_work_goes_where_less_is_pending_and_an_absent_adapter_costs_its_load() -> None:
    view = Snapshot(0.0, functions := make_functions(*["llama-2-7b"] * 2), one_for_all=True)
    node = view.add_node()
    replicas = []
    for running in ((0, 0, 0, 0), (1,)):
        container = view.add_container(view.add_gpu(node, CAPACITY_BYTES))
        batch = [FrozenRunning(QueuedRequest(i, functions[f], 0.0, 10, 10), 10) for i, f in enumerate(running)]
        replicas.append(
            view.add_instance(
                None, container, {}, backbone=functions[0].backbone, state=InstanceState.BUSY, ready=True, running=batch
            )
        )
    work = [QueuedRequest(9, functions[0], 0.0, 10, 10)]
    for batch_size, chosen in ((32, 0), (4, 1)):
        answer = LeastCost(batch=batch_size).route(work, functions[0], view)
        assert isinstance(answer, ToInstance)
        assert answer.instance is replicas[chosen]


def test_all_that_a_dispatch_says_fits_the_mode() -> None:
    replica = Replica("", "0000")
    answer = replica.policy(max_num_seqs=2).next_batch(replica.at, replica.ready, replica.view)
    assert isinstance(answer, Dispatch)
    assert len(answer.admit) == 2
    assert answer.merge is replica.functions[0]
