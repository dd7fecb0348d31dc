"""Orderings between systems that their sources claim: each with a paired interval over seeds that excludes zero."""

from __future__ import annotations

import numpy as np

from simlora.cluster.config import ClusterConfig
from simlora.results.statistics import paired_ratio
from simlora.testing import Scenario, make_functions, make_workload

SEEDS = range(6)


def cold_ttft_s(system: str, seed: int) -> float:
    """Mean over the cold requests of 4 functions called at random, 20 s apart in the mean, on 4 GPUs of one node."""
    rng = np.random.default_rng(seed)
    at_s = np.cumsum(rng.exponential(20.0, 60))
    rows = [(float(s), int(f), 200, 50) for s, f in zip(at_s, rng.integers(0, 4, 60), strict=True)]
    functions = make_functions(*["llama-2-7b", "llama-2-13b"] * 2)
    cluster = ClusterConfig(nodes=1, gpus_per_node=4)
    requests = Scenario(system, functions, make_workload(rows), {}, cluster, seed=seed).run().requests.to_pandas()
    cold = requests[requests["cold"]]
    return float((cold["first_token_s"] - cold["arrived_s"]).mean())


def test_serverless_llm_starts_sooner_than_a_plain_platform() -> None:
    """Its loader and its cache of checkpoints; the rest of a start is the same."""
    plain, sllm = ([cold_ttft_s(system, seed) for seed in SEEDS] for system in ("plain-serverless", "serverless-llm"))
    ratio = paired_ratio(plain, sllm)
    assert ratio.excludes(1.0)
    assert ratio.low > 1.3
