"""Rates of nodes and loaders that an experiment states in place of the catalogue's."""

from __future__ import annotations

from typing import Any

import pytest

from simlora.cluster.config import ClusterConfig
from simlora.cluster.machines import load_machines, parts_of
from simlora.latency import Label, load_backbone
from simlora.systems import load_system
from simlora.testing import Scenario, make_functions, make_workload

SIZE_BYTES = load_backbone("llama-2-7b").weights_bytes


def loading_s(cluster: dict[str, Any], **system: Any) -> float:
    """Of the backbone, in a lone cold start of a system whose loader reads at 23.7 GB/s if storage lets it."""
    made = ClusterConfig(nodes=1, gpus_per_node=1, **cluster)
    functions, workload = make_functions("llama-2-7b"), make_workload([(0.0, 0, 50, 5)])
    events = Scenario("serverless-llm", functions, workload, system, made).run().events.to_pylist()
    ended_s = {one["stage"]: one["at_s"] for one in events if one["kind"] == "stage_finished"}
    return float(ended_s["backbone"] - ended_s["context"])


def test_storage_loads_at_the_rate_that_is_stated() -> None:
    assert loading_s({}) == pytest.approx(SIZE_BYTES / 7e9, rel=1e-6)
    assert loading_s({"ssd_bytes_per_s": 14e9}) == pytest.approx(SIZE_BYTES / 14e9, rel=1e-6)


def test_the_remote_store_sends_at_the_rate_that_is_stated() -> None:
    """From the store to storage, and from there to the device."""
    remote = {"checkpoints": "remote", "remote_bytes_per_s": 0.5e9}
    assert loading_s(remote) == pytest.approx(SIZE_BYTES / 0.5e9 + SIZE_BYTES / 7e9, rel=1e-6)
    slow_network = {**remote, "nic_bytes_per_s": 0.25e9}
    assert loading_s(slow_network) == pytest.approx(SIZE_BYTES / 0.25e9 + SIZE_BYTES / 7e9, rel=1e-6)


def test_a_loader_loads_at_the_rate_that_is_stated() -> None:
    system = {"loader_bytes_per_s": {"ssd-to-device": 2e9}}
    assert loading_s({}, **system) == pytest.approx(SIZE_BYTES / 2e9, rel=1e-6)
    assert loading_s({}, **{"loader_bytes_per_s.ssd-to-device": 2e9}) == pytest.approx(SIZE_BYTES / 2e9, rel=1e-6)


def test_what_is_stated_is_an_assumption_in_the_trust_box() -> None:
    cluster = ClusterConfig(host_bytes=10**11, group=()).model_dump()
    assert "ssd_bytes_per_s" not in cluster
    (machines,) = load_machines(ClusterConfig.model_validate(cluster), "l40s", "hf-eager")
    assert machines.node.host_bytes == 10**11
    loader = load_system("serverless-llm", {"loader_bytes_per_s.host-to-device": 1e9}).loads_with()
    parts = {part.part: part for part in parts_of([machines], loader)}
    node, way = parts["AWS g6e.24xlarge: storage, network, remote store"], parts["sllm: host to device"]
    assert (node.label, way.label) == (Label.ASSUMPTION, Label.ASSUMPTION)
    assert "as stated in the experiment: host_bytes" in node.source
    assert "as stated in the experiment, in place of 52.3 GB/s" in way.source
