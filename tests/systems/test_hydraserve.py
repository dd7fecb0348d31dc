"""HydraServe: a model comes from the remote store in parts, to several nodes, while their processes start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from simlora.cluster.config import ClusterConfig
from simlora.engine import RunRecord
from simlora.latency import load_node_type, load_profile
from simlora.policies.placement import NicAware
from simlora.testing import Scenario, make_functions, make_workload

FOUR = ClusterConfig(nodes=4, gpus_per_node=1, checkpoints="remote")
REMOTE_PER_S = load_node_type(FOUR.node_type).remote_bytes_per_s


def run(slo_s: float, placement: Mapping[str, Any] | str, calls: int = 1, cluster: ClusterConfig = FOUR) -> RunRecord:
    """So many functions of Llama-2-7B, each called once at the start."""
    functions = make_functions(*["llama-2-7b"] * calls, slo_ttft_s=slo_s)
    rows = [(0.0, n, 100, 10) for n in range(calls)]
    return Scenario("hydraserve", functions, make_workload(rows), {"placement": placement}, cluster).run()


def ttft_s(record: RunRecord) -> float:
    rows = record.requests.to_pandas()
    return float((rows["first_token_s"] - rows["arrived_s"]).iloc[0])


def spread_over(ways: int) -> dict[str, Any]:
    """No set-up and an SLO out of which the rule takes so many nodes."""
    return {"policy": "nic-aware", "most": ways, "setup_s": 0.0}


def test_a_start_over_n_nodes_fetches_and_loads_an_nth_until_the_process_itself_takes_longer() -> None:
    size_bytes = make_functions("llama-2-7b")[0].backbone.weights_bytes
    whole_s = size_bytes / REMOTE_PER_S
    node, profile = load_node_type(FOUR.node_type), load_profile("l40s")
    load_s = [profile.load_s(-(-size_bytes // n), ("ssd", "device"), "sllm", node) for n in (1, 2, 3, 4)]
    one, two, three, four = (ttft_s(run(whole_s / n * 1.001, spread_over(n))) for n in (1, 2, 3, 4))
    assert one - two == pytest.approx(whole_s / 2 + load_s[0] - load_s[1], abs=0.01)
    assert two - three < whole_s / 6 + load_s[1] - load_s[2], "fetched beside container, libraries and context"
    assert three - four == pytest.approx(load_s[2] - load_s[3], abs=0.01), "the fetch is over before they are"


def test_nodes_are_as_few_as_the_slo_asks_for_and_one_if_none_would_do() -> None:
    one = ttft_s(run(1e6, spread_over(1)))
    assert ttft_s(run(1e6, spread_over(4))) == one
    assert ttft_s(run(1e-3, spread_over(4))) == one


def test_two_fetches_share_what_the_nodes_have_and_every_link_is_free_at_the_end() -> None:
    """Each begins over its own node; the other's is a helper only for the rate that it has left."""
    alone = ttft_s(run(1e6, "nic-aware"))
    rows = run(1e6, "nic-aware", calls=2).requests.to_pandas()
    assert sorted(rows["gpu"]) == [0, 1]
    assert (rows["first_token_s"] - rows["arrived_s"]).max() == pytest.approx(alone, rel=0.01)


def test_the_fetch_runs_beside_the_start() -> None:
    """The time to the first token is that of the stages after the fetch, which began with the process."""
    whole_s = make_functions("llama-2-7b")[0].backbone.weights_bytes / REMOTE_PER_S
    prefetched = run(1e6, "nic-aware").events.to_pandas()
    backbone = prefetched[prefetched["stage"] == "backbone"].iloc[0]
    assert backbone["at_s"] > whole_s
    assert backbone["seconds"] < whole_s, "part of the fetch lay in the stages before"


def helpers(record: RunRecord) -> list[int]:
    """GPUs of its first pipeline's other parts."""
    rows = record.events.to_pylist()
    formed = [row["why"] for row in rows if row["kind"] == "pipeline_formed"]
    return [int(gpu) for gpu in formed[0].removeprefix("the other parts on GPU ").split(", ")] if formed else []


def test_a_pipeline_goes_over_nodes_with_the_highest_free_rate() -> None:
    third_s = make_functions("llama-2-7b")[0].backbone.weights_bytes / REMOTE_PER_S / 3 * 1.001
    assert helpers(run(third_s, spread_over(3))) == [1, 2]
    assert helpers(run(third_s, spread_over(2))) == [], "two would not do"


def test_a_pipeline_is_of_one_kind_of_gpu() -> None:
    """It begins where most memory is free, on an H100, of which there are two."""
    group = {"nodes": 2, "gpus_per_node": 1, "node_type": FOUR.node_type}
    kinds = [{**group, "profile": profile} for profile in ("l40s", "h100-sxm")]
    mixed = ClusterConfig.model_validate({"group": kinds, "checkpoints": "remote"})
    half_s = make_functions("llama-2-7b")[0].backbone.weights_bytes / REMOTE_PER_S / 2 * 1.001
    assert helpers(run(half_s, spread_over(4), cluster=mixed)) == [3]
    assert helpers(run(half_s * 2 / 3, spread_over(4), cluster=mixed)) == []


@pytest.mark.parametrize("keys", [{"most": 0}, {"setup_s": -1.0}])
def test_keys_out_of_range(keys: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        NicAware(**keys)
