"""Orderings between systems that their sources claim: each with a paired interval over seeds that excludes zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from simlora.cluster.config import ClusterConfig
from simlora.latency.models import load_backbone
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


def remote_ttft_s(system: str, seed: int, overrides: Mapping[str, Any], ttft_s: tuple[float, float]) -> float:
    """Mean over the cold requests of 6 functions, 30 s apart in the mean, on 4 nodes that start with no checkpoint.

    ``ttft_s``: the SLOs of Llama-2-7B and 13B.
    """
    rng = np.random.default_rng(seed)
    at_s = np.cumsum(rng.exponential(30.0, 24))
    rows = [(float(s), int(f), 200, 50) for s, f in zip(at_s, rng.integers(0, 6, 24), strict=True)]
    sizes = [load_backbone(name) for name in ("llama-2-7b", "llama-2-13b")]
    backbones = [replace(sizes[n % 2], name=f"{sizes[n % 2].name}-{n}") for n in range(6)]
    functions = [replace(f, slo_ttft_s=ttft_s[f.index % 2]) for f in make_functions(*backbones)]
    cluster = ClusterConfig(nodes=4, gpus_per_node=2, checkpoints="remote")
    run = Scenario(system, functions, make_workload(rows), overrides, cluster, seed=seed).run()
    requests = run.requests.to_pandas()
    assert len(requests) == len(rows)
    cold = requests[requests["cold"]]
    return float((cold["first_token_s"] - cold["arrived_s"]).mean())


def test_hydraserve_starts_sooner_than_serverless_llm_from_the_remote_store() -> None:
    """By the overlap alone, and more so over several nodes at its own SLOs: 5 x 1.5 s and 5 x 2.4 s."""
    sllm = [remote_ttft_s("serverless-llm", seed, {}, (7.5, 12.0)) for seed in SEEDS]
    alone = [remote_ttft_s("hydraserve", seed, {"placement.most": 1}, (7.5, 12.0)) for seed in SEEDS]
    spread = [remote_ttft_s("hydraserve", seed, {}, (7.5, 12.0)) for seed in SEEDS]
    assert paired_ratio(sllm, alone).low > 1.0
    assert paired_ratio(alone, spread).low > 1.2
    assert paired_ratio(sllm, spread).low > 1.3


def test_serverless_llm_starts_sooner_than_a_plain_platform() -> None:
    """Its loader and its cache of checkpoints; the rest of a start is the same."""
    plain, sllm = ([cold_ttft_s(system, seed) for seed in SEEDS] for system in ("plain-serverless", "serverless-llm"))
    ratio = paired_ratio(plain, sllm)
    assert ratio.excludes(1.0)
    assert ratio.low > 1.3
