"""HydraServe: what comes from the remote store comes over several nodes, while the process starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from simlora.actions import Placement
from simlora.cluster.config import ClusterConfig
from simlora.engine import RunRecord
from simlora.entities import Function
from simlora.errors import PolicyError
from simlora.latency.hardware import load_node_type
from simlora.policies.placement import MostFree, NicAware
from simlora.testing import Scenario, make_functions, make_workload
from simlora.views import ClusterView, PlaceView

FOUR = ClusterConfig(nodes=4, gpus_per_node=1, checkpoints="remote")
REMOTE_PER_S = load_node_type(FOUR.node_type).remote_bytes_per_s


def run(slo_s: float, placement: Mapping[str, Any] | str, calls: int = 1, system: str = "hydraserve") -> RunRecord:
    """So many functions of Llama-2-7B, each called once at the start."""
    functions = make_functions(*["llama-2-7b"] * calls, slo_ttft_s=slo_s)
    rows = [(0.0, n, 100, 10) for n in range(calls)]
    return Scenario(system, functions, make_workload(rows), {"placement": placement}, FOUR).run()


def ttft_s(record: RunRecord) -> float:
    rows = record.requests.to_pandas()
    return float((rows["first_token_s"] - rows["arrived_s"]).iloc[0])


def spread_over(ways: int) -> dict[str, Any]:
    """No set-up and an SLO out of which the rule takes so many nodes."""
    return {"policy": "nic-aware", "most": ways, "setup_s": 0.0}


def test_a_fetch_over_n_nodes_takes_an_nth_until_the_process_itself_takes_longer() -> None:
    size_bytes = make_functions("llama-2-7b")[0].backbone.weights_bytes
    whole_s = size_bytes / REMOTE_PER_S
    one, two, three, four = (ttft_s(run(whole_s / n * 1.001, spread_over(n))) for n in (1, 2, 3, 4))
    assert one - two == pytest.approx(whole_s / 2, abs=0.01)
    assert two - three < whole_s / 6, "what is fetched beside container, libraries and context, which take longer"
    assert three == pytest.approx(four, abs=0.01), "the adapter's fetch is what is left"


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


class ThroughItself(MostFree):
    """Says that the node of the instance helps itself."""

    def place(self, function: Function, places: Sequence[PlaceView], view: ClusterView) -> Placement | None:
        found = super().place(function, places, view)
        return None if found is None else found._replace(through=(found.gpu.node,))


def test_a_fetch_through_its_own_node_is_refused() -> None:
    with pytest.raises(PolicyError, match="not another node"):
        run(1e6, {"policy": f"{__name__}:ThroughItself"})


@pytest.mark.parametrize("keys", [{"most": 0}, {"setup_s": -1.0}])
def test_keys_out_of_range(keys: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        NicAware(**keys)
