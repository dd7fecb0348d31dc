"""Every listed system serves every class of traffic: a quarter of an hour of a model trace, four functions and GPUs."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from simlora.cluster.config import ClusterConfig
from simlora.systems.config import list_systems
from simlora.testing import Scenario, make_functions
from simlora.workload import Workload, build_workload
from simlora.workload.variability import PATTERNS

FUNCTIONS = make_functions(*["llama-2-7b", "llama-2-13b"] * 2)
CLUSTER = ClusterConfig(nodes=2, gpus_per_node=2)


@cache
def traffic(pattern: str) -> Workload:
    return build_workload(
        trace=f"model/azure-2019-{pattern}",
        lengths="gsm8k",
        functions=[function.id for function in FUNCTIONS],
        duration_s=900.0,
        rate_scale=1.0,
        seed=1,
        base_dir=Path(),
        data_dir=None,
    )


def test_there_are_seventeen_systems_and_traffic_of_each_class() -> None:
    assert len(list(list_systems())) >= 17
    assert all(200 < len(traffic(pattern)) < 2000 for pattern in PATTERNS)


@pytest.mark.parametrize("system", list_systems())
@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_system_serves_every_class(system: str, pattern: str) -> None:
    """To the last request: none is lost, turned away or unfinished, each has its tokens in order of time."""
    requests = Scenario(system, FUNCTIONS, traffic(pattern), cluster=CLUSTER).run().requests.to_pandas()
    assert len(requests) == len(traffic(pattern))
    assert set(requests["outcome"]) == {"finished"}
    assert (requests["arrived_s"] <= requests["started_s"]).all()
    assert (requests["started_s"] < requests["first_token_s"]).all()
    assert (requests["first_token_s"] <= requests["finished_s"]).all()
