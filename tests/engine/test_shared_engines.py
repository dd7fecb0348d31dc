"""Engines that serve all functions of a backbone: started on demand, scaled by concurrency, ended when idle, billed."""

from __future__ import annotations

from typing import Any

import pytest

from simlora.cluster.config import ClusterConfig
from simlora.engine import RunRecord
from simlora.errors import ConfigError
from simlora.results.billing import bill
from simlora.results.prices import load_price
from simlora.results.summary import bill_of
from simlora.systems import load_system
from simlora.testing.scenario import ROW, Scenario, make_functions, make_workload
from simlora.testing.steps import ConstantSteps

STEPS = ConstantSteps(0.05)
START_S = 56.0
"""No cached start takes less: container, imports, compiled code, graphs, and the weights."""


def run(*rows: ROW, functions: int = 3, gpus: int = 2, **overrides: Any) -> RunRecord:
    made = make_functions(*["llama-2-7b"] * functions, "llama-2-13b")
    cluster = ClusterConfig(nodes=1, gpus_per_node=gpus)
    return Scenario(
        "serverless-vllm", made, make_workload(rows), overrides, cluster, steps=lambda instance: STEPS
    ).run()


def events(record: RunRecord, kind: str) -> list[dict[str, Any]]:
    return [row for row in record.events.to_pylist() if row["kind"] == kind]


def test_one_engine_starts_for_all_functions_of_a_backbone_and_ends_when_it_has_been_idle() -> None:
    record = run((0.0, 0, 100, 10), (1.0, 1, 100, 10), (120.0, 2, 100, 10))
    (started,), (stopped,) = events(record, "instance_started"), events(record, "instance_stopped")
    requests = record.requests.to_pylist()
    assert (started["at_s"], started["function"], started["on_demand"]) == (0.0, "", True)
    assert [row["cold"] for row in requests] == [True, True, False]
    assert requests[0]["first_token_s"] > START_S
    assert stopped["at_s"] == pytest.approx(requests[2]["finished_s"] + 60.0)


def test_backbones_do_not_share_an_engine() -> None:
    record = run((0.0, 0, 100, 10), (0.0, 3, 100, 10))
    assert len(events(record, "instance_started")) == 2
    assert len(set(record.requests["instance"].to_pylist())) == 2


def test_after_its_end_the_next_request_starts_another() -> None:
    assert len(events(run((0.0, 0, 100, 10), (200.0, 1, 100, 10)), "instance_started")) == 2


@pytest.mark.parametrize(("target", "engines"), [(16, 1), (3, 2), (1, 4)])
def test_requests_of_all_its_functions_count_for_how_many_engines_a_backbone_has(target: int, engines: int) -> None:
    scaling = {"policy": "ongoing", "target": target, "step": 9, "max_instances": 4}
    record = run(*[(0.1 * i, i % 3, 100, 900) for i in range(6)], gpus=6, scaling=scaling)
    assert len(events(record, "instance_started")) == engines


def test_at_most_step_more_are_asked_for_at_each_tick() -> None:
    scaling = {"policy": "ongoing", "target": 1, "step": 1, "max_instances": 4}
    record = run(*[(0.1 * i, i % 3, 100, 900) for i in range(6)], gpus=6, scaling=scaling)
    assert [row["at_s"] for row in events(record, "instance_started")] == [0.0, 1.0, 2.0, 3.0]


def test_work_beyond_what_an_engine_takes_waits_and_goes_on_when_a_request_ends() -> None:
    keys = {"routing": {"policy": "fill-up", "target": 1, "most": 2}, "scaling": "on-demand"}
    requests = run(*[(float(i), i % 3, 100, 10) for i in range(5)], **keys).requests.to_pylist()
    ended = sorted(row["finished_s"] for row in requests)
    assert all(row["started_s"] < ended[0] for row in requests[:2])
    assert all(0 <= row["started_s"] - at_s < 0.1 for row, at_s in zip(requests[2:], ended, strict=False))


def test_the_fullest_engine_below_the_target_is_filled_so_that_the_other_ends() -> None:
    """Two are up after a burst; from then on one request at a time goes to one of them alone."""
    scaling = {"policy": "ongoing", "target": 2, "step": 9, "max_instances": 2}
    burst = [(0.1 * i, 0, 100, 400) for i in range(4)]
    later = [(150.0 + 20.0 * i, 0, 100, 10) for i in range(8)]
    record = run(*burst, *later, scaling=scaling, routing={"policy": "fill-up", "target": 2})
    served = {row["instance"] for row in record.requests.to_pylist()[4:]}
    assert len(served) == 1
    assert events(record, "instance_stopped")[0]["at_s"] < 250.0


def test_an_engine_is_billed_from_its_start_to_its_end() -> None:
    record = run((0.0, 0, 100, 10))
    (stopped,) = events(record, "instance_stopped")
    assert list(dict.fromkeys(record.usage["state"].to_pylist())) == ["starting", "busy", "idle"]
    price = load_price("runpod-2026")
    usd = bill(record.usage, price, record.facts["gpu_models"], 1, 1000.0, "serverless").total_usd
    assert usd == pytest.approx(-(-stopped["at_s"] // 1) * 0.00053)


def test_an_idle_engine_of_another_backbone_gives_way() -> None:
    record = run((0.0, 0, 100, 10), (70.0, 3, 100, 10), gpus=1)
    assert next(row["why"] for row in events(record, "instance_stopped")) == "least recently used"
    assert record.requests["outcome"].to_pylist() == ["finished", "finished"]


# ---------------------------------------------------------------------------------------------- some GPUs reserved


def mixed(*rows: ROW, **overrides: Any) -> RunRecord:
    made = make_functions("llama-2-7b", "llama-2-7b", "llama-2-13b")
    cluster = ClusterConfig(nodes=1, gpus_per_node=4)
    return Scenario(
        "reserved-plus-burst", made, make_workload(rows), overrides, cluster, steps=lambda instance: STEPS
    ).run()


def test_reserved_engines_serve_alone_while_they_can() -> None:
    record = mixed(*[(float(i), i % 3, 100, 100) for i in range(20)])
    assert [row["gpu"] for row in events(record, "instance_started")] == [0, 1]
    assert not any(record.requests["cold"].to_pylist())


def test_overflow_goes_to_engines_that_end_again_while_reserved_ones_stay() -> None:
    burst = [(0.1 * i, 0, 100, 900) for i in range(40)]
    record = mixed(*burst, (120.0, 0, 100, 10), (400.0, 0, 100, 10))
    started, stopped = events(record, "instance_started"), events(record, "instance_stopped")
    assert [row["gpu"] for row in started] == [0, 1, 2, 3]
    assert sorted(row["gpu"] for row in stopped) == [2, 3]
    assert record.requests["gpu"].to_pylist()[-1] == 0


def test_a_backbone_without_a_reserved_gpu_is_served_by_the_second() -> None:
    record = mixed((0.0, 0, 100, 10), (0.0, 2, 100, 10), reserved_gpus=1)
    assert [(row["gpu"], row["on_demand"]) for row in events(record, "instance_started")] == [(0, False), (1, True)]
    assert record.requests["cold"].to_pylist() == [False, True]


def test_reserved_gpus_are_billed_to_the_end_and_the_others_by_the_second() -> None:
    record = mixed((0.0, 0, 100, 10), (0.0, 2, 100, 10), reserved_gpus=1)
    (stopped,) = events(record, "instance_stopped")
    runpod, ec2 = load_price("runpod-2026"), load_price("ec2-on-demand-2026")
    usd = bill_of(record.requests, record.usage, record.facts, 3600.0, (ec2, runpod)).total_usd
    assert usd == pytest.approx(15.066 / 4 + -(-stopped["at_s"] // 1) * 0.00053)


def test_each_list_charges_the_invocations_on_its_own_gpus() -> None:
    record = mixed((0.0, 0, 100, 10), (0.0, 2, 100, 10), (1.0, 1, 100, 10), reserved_gpus=1)
    alibaba, ec2 = load_price("alibaba-fc-2024-08"), load_price("ec2-on-demand-2026")
    found = bill_of(record.requests, record.usage, record.facts, 3600.0, (ec2, alibaba))
    assert found.requests_usd == pytest.approx(1 * 0.0075 * 2e-5)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"reserved_gpus": 0}, "reserved_gpus goes with"),
        ({"billing": "serverless"}, "reserved_gpus goes with"),
        ({"reserved_gpus": -1}, "reserved_gpus"),
    ],
)
def test_what_is_reserved_and_how_it_is_billed_go_together(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_system("reserved-plus-burst", keys)
