"""GPUs of several kinds in one cluster: each is what its group says, and what it does follows from that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from simlora.cluster.config import ClusterConfig
from simlora.latency import load_gpu, load_node_type, load_profile
from simlora.results.prices import load_price
from simlora.results.summary import bill_of
from simlora.testing import Scenario, make_functions, make_workload
from simlora.testing.strategies import function_tables, traffic

FUNCTIONS = make_functions("llama-2-7b", "llama-2-7b")
KINDS = ("l40s", "a100-sxm-80gb", "h100-sxm", "h200-sxm")
NODES = ("g6e.24xlarge", "l40s-pairs", "p5.48xlarge")
LAW = settings(max_examples=40, deadline=None, derandomize=True)


def group(profile: str, gpus: int = 1, nodes: int = 1, node_type: str = "g6e.24xlarge") -> dict[str, Any]:
    return {"nodes": nodes, "gpus_per_node": gpus, "node_type": node_type, "profile": profile}


def scenario(groups: Sequence[dict[str, Any]], rows: Any = ((0.0, 0, 100, 5),), **overrides: Any) -> Scenario:
    cluster = ClusterConfig.model_validate({"group": groups})
    return Scenario("plain-serverless", FUNCTIONS, make_workload(list(rows)), overrides, cluster)


@LAW
@given(
    st.lists(
        st.builds(group, st.sampled_from(KINDS), st.integers(1, 3), st.integers(1, 2), st.sampled_from(NODES)),
        min_size=1,
        max_size=3,
    )
)
def test_each_gpu_is_of_its_group(groups: list[dict[str, Any]]) -> None:
    simulation = scenario(groups).simulation()
    stated = [one for one in groups for _ in range(one["nodes"] * one["gpus_per_node"])]
    assert len(stated) == len(simulation.cluster.gpus)
    for gpu, own in zip(simulation.cluster.gpus, stated, strict=True):
        kind, host = load_gpu(own["profile"]), load_node_type(own["node_type"])
        assert (gpu.kind, gpu.capacity_bytes) == (own["profile"], kind.usable_bytes)
        assert gpu.bus.bytes_per_s == kind.pcie_bytes_per_s
        assert gpu.node.storage.bytes_per_s == host.ssd_bytes_per_s
        assert gpu.node.memory.capacity_bytes == host.host_bytes
        assert len(gpu.neighbours) < host.switch_gpus
        alone = load_profile(own["profile"], "hf-eager")
        model = alone.model(FUNCTIONS[0].backbone, FUNCTIONS[0].target_modules)
        assert simulation.estimates.model(FUNCTIONS[0], gpu).prefill_s([200]) == model.prefill_s([200])


@pytest.mark.parametrize("placement", ["most-free", "backbone-affinity", "idle-container-first", "storage-aware"])
def test_a_full_gpu_is_no_place_however_much_of_it_is_free(placement: str) -> None:
    rows = [(0.0, 0, 100, 5), (0.0, 1, 100, 5)]
    limit = {"placement": placement, "limits.instances_per_gpu": 1}
    record = scenario([group("h100-sxm"), group("l40s")], rows, **limit).run()
    assert record.requests["outcome"].to_pylist() == ["finished"] * 2
    assert sorted(record.requests["gpu"].to_pylist()) == [0, 1]


@pytest.mark.parametrize("placement", ["most-free", "backbone-affinity", "idle-container-first", "storage-aware"])
@pytest.mark.filterwarnings("ignore")
def test_what_fits_the_large_gpu_alone_goes_there(placement: str) -> None:
    """Idle processes fill it, so that the small one has more room; and what fits neither is turned away."""
    functions = make_functions(*["llama-2-7b"] * 4)
    cluster = ClusterConfig.model_validate({"group": [group("h100-sxm"), group("l40s")]})
    rows = [(30.0 * n, n, 100, 5) for n in range(3)] + [(200.0, 3, 50_000, 5), (300.0, 3, 500_000, 5)]
    settings = {"placement": placement, "keepalive": "forever"}
    record = Scenario("plain-serverless", functions, make_workload(rows), settings, cluster).run()
    assert record.requests["outcome"].to_pylist() == ["finished"] * 4 + ["rejected"]
    assert record.requests["gpu"].to_pylist()[3] == 0


@LAW
@given(st.data())
def test_groups_that_are_alike_are_one_cluster(data: st.DataObject) -> None:
    """The short form says the same as one group, and as one group for each node."""
    functions = data.draw(function_tables(3))
    rows = data.draw(traffic(len(functions)))
    nodes, gpus = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 2))
    forms = [
        {"nodes": nodes, "gpus_per_node": gpus},
        {"group": [group("l40s", gpus, nodes)]},
        {"group": [group("l40s", gpus)] * nodes},
    ]
    records = [
        Scenario("serverless-lora", functions, make_workload(rows), {}, ClusterConfig.model_validate(form)).run()
        for form in forms
    ]
    for name in ("requests", "usage"):
        first, *others = (getattr(record, name).to_pandas() for record in records)
        assert all(other.equals(first) for other in others)


def test_a_request_takes_as_long_as_on_its_gpu_alone() -> None:
    """Two at once, each on a GPU of its own and of its own kind."""
    rows = [(0.0, 0, 300, 50), (0.001, 1, 300, 50)]
    overrides = {"placement": "storage-aware"}
    both = scenario([group("h100-sxm"), group("l40s")], rows, **overrides).run().requests.to_pandas()
    assert sorted(both.gpu) == [0, 1]
    for row in both.itertuples():
        kind = ("h100-sxm", "l40s")[row.gpu]
        alone = scenario([group(kind)], rows[:1]).run().requests.to_pandas().iloc[0]
        assert row.finished_s - row.started_s == pytest.approx(alone.finished_s - alone.started_s, rel=1e-12)


def test_seconds_on_a_gpu_cost_what_its_kind_costs() -> None:
    price, window_s = load_price("runpod-2026"), 600.0
    rows = [(0.001 * i, i % 2, 300, 50) for i in range(12)]
    groups = [group("l40s"), group("h100-sxm")]
    record = scenario(groups, rows, keepalive="forever", placement="storage-aware").run()
    lives = record.usage.to_pandas().groupby("gpu").agg({"from_s": "min", "to_s": "max"})
    rates = [price.gpu(kind).active_usd_per_s for kind in ("l40s", "h100-sxm")]
    assert len(lives) == 2
    expected = sum(np.ceil(life.to_s - life.from_s) * rates[gpu] for gpu, life in lives.iterrows())
    assert bill_of(record.requests, record.usage, record.facts, window_s, [price]).total_usd == pytest.approx(expected)


def test_a_model_that_fits_one_kind_only_goes_there() -> None:
    functions = make_functions("llama-2-13b")
    cluster = ClusterConfig.model_validate({"group": [group("l40s"), group("h200-sxm")]})
    rows = [(0.0, 0, 20_000, 9000)]
    record = Scenario("plain-serverless", functions, make_workload(rows), {}, cluster).run()
    assert record.requests["outcome"].to_pylist() == ["finished"]
    alone = Scenario("plain-serverless", functions, make_workload(rows)).run()
    assert alone.requests["outcome"].to_pylist() == ["rejected"]


def test_a_cluster_has_one_form() -> None:
    with pytest.raises(ValidationError, match="nodes goes with nodes that are all alike"):
        ClusterConfig.model_validate({"nodes": 2, "group": [group("l40s")]})
    alike = ClusterConfig(nodes=2, contention="time-slice")
    grouped = ClusterConfig.model_validate(alike.overlaid({"group": [group("l40s", 3)]}))
    assert (grouped.gpus, grouped.contention) == (3, "time-slice")
    assert ClusterConfig.model_validate(grouped.overlaid({"nodes": 5})).gpus == 20
    for config in (alike, grouped):
        assert ClusterConfig.model_validate(config.model_dump(mode="json")) == config
    assert "group" not in alike.model_dump()
