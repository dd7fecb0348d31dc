"""GPUs behind one PCIe switch share its uplink; a host cache filled at the start is read at once."""

from __future__ import annotations

from typing import Any

import pytest

from simlora.cluster.config import ClusterConfig
from simlora.latency import load_gpu, load_node_type
from simlora.testing import Scenario, make_functions, make_workload

FUNCTIONS = make_functions(*["llama-2-7b"] * 4)
FILLED = {"host_cache_fraction": 0.5, "host_copies": "all", "loader": "sllm"}


def loads_s(node_type: str, gpus: int, **overrides: Any) -> list[float]:
    """Seconds of the backbone stage of each function's first start, all called at once on a GPU of their own."""
    rows = [(0.0, f, 100, 5) for f in range(gpus)]
    cluster = ClusterConfig(nodes=1, gpus_per_node=gpus, node_type=node_type)
    record = Scenario("plain-serverless", FUNCTIONS, make_workload(rows), {**FILLED, **overrides}, cluster).run()
    return [row["seconds"] for row in record.events.to_pylist() if row["stage"] == "backbone"]


def test_neighbours_share_a_switch_and_others_do_not() -> None:
    alone_s = FUNCTIONS[0].backbone.weights_bytes / load_gpu("l40s").pcie_bytes_per_s
    assert load_node_type("l40s-pairs").switch_gpus == 2
    assert loads_s("l40s-pairs", 1) == pytest.approx([alone_s])
    assert loads_s("g6e.24xlarge", 4) == pytest.approx([alone_s] * 4)
    assert loads_s("l40s-pairs", 2) == pytest.approx([2 * alone_s] * 2, rel=0.1)
    assert loads_s("l40s-pairs", 4) == pytest.approx([2 * alone_s] * 4, rel=0.1)


def test_a_gpu_sees_its_neighbours() -> None:
    cluster = ClusterConfig(nodes=2, gpus_per_node=4, node_type="l40s-pairs")
    gpus = (
        Scenario("plain-serverless", FUNCTIONS, make_workload([(0.0, 0, 1, 1)]), {}, cluster).simulation().cluster.gpus
    )
    assert [[g.index for g in gpu.neighbours] for gpu in gpus] == [[1], [0], [3], [2], [5], [4], [7], [6]]


def test_a_cache_that_is_not_filled_is_read_into_from_storage_first() -> None:
    used, filled = loads_s("g6e.24xlarge", 1, host_copies="used"), loads_s("g6e.24xlarge", 1)
    assert used[0] == pytest.approx(FUNCTIONS[0].backbone.weights_bytes / 7e9)
    assert filled[0] < used[0]


def test_a_filled_cache_is_as_full_as_it_can_be() -> None:
    functions = make_functions("llama-2-13b", "llama-2-7b")
    workload = make_workload([(0.0, 0, 1, 1)])
    overrides = {**FILLED, "host_cache_fraction": 0.02}
    (node,) = Scenario("plain-serverless", functions, workload, overrides).simulation().cluster.nodes
    cached = [name for name in ("llama-2-13b", "llama-2-7b", "f0", "f1") if node.caches(name)]
    assert cached == ["llama-2-7b", "f0", "f1"]
