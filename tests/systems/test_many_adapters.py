"""Orderings that published comparisons of multi-LoRA engines claim, with more load than one can serve.

What is compared is the rate at which requests are served until the last one is, over seeds, by paired intervals.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from simlora.cluster.config import ClusterConfig
from simlora.results.statistics import Interval, paired_ratio
from simlora.testing import Scenario, make_functions, make_workload

SEEDS = range(4)
COUNT = 400


def served_per_s(system: str, adapters: int, seed: int, gpus: int = 1, per_s: float = 10.0) -> float:
    """On GPUs of one node with 80 GB each; popularity of adapters falls as 1 / rank, lengths are even from 8 to 512."""
    rng = np.random.default_rng(seed)
    shares = 1 / np.arange(1, adapters + 1)
    called = rng.choice(adapters, COUNT, p=shares / shares.sum())
    at_s, prompts, outputs = rng.uniform(0, COUNT / per_s, COUNT), *rng.integers(8, 513, (2, COUNT))
    rows = [(float(s), int(f), int(p), int(o)) for s, f, p, o in zip(at_s, called, prompts, outputs, strict=True)]
    functions = make_functions(*["llama-2-7b"] * adapters, rank=8)
    cluster, workload = ClusterConfig(nodes=1, gpus_per_node=gpus), make_workload(rows)
    finished_s = Scenario(system, functions, workload, {}, cluster, "a100-sxm-80gb", seed).run().requests["finished_s"]
    assert finished_s.null_count == 0
    return COUNT / float(np.max(finished_s.to_numpy()))


def ratio(one: Mapping[str, Any], other: Mapping[str, Any]) -> Interval:
    """Served by one over served by the other."""
    pairs = [[served_per_s(seed=seed, **what) for seed in SEEDS] for what in (one, other)]
    return paired_ratio(*pairs)


def test_s_lora_serves_many_adapters_as_fast_as_few() -> None:
    """S-LoRA's evaluation: 8.05 requests/s with 5 adapters, 7.64 with 1,000."""
    found = ratio({"system": "s-lora", "adapters": 500}, {"system": "s-lora", "adapters": 5})
    assert found.low > 0.95


def test_peft_collapses_with_the_number_of_adapters() -> None:
    """The same evaluation: 0.88 with 5 adapters, 0.25 with 100; a batch holds one adapter."""
    found = ratio({"system": "peft", "adapters": 100}, {"system": "peft", "adapters": 5})
    assert found.high < 0.6


@pytest.mark.parametrize("adapters", [16, 64])
def test_dlora_is_ahead_of_packed_models(adapters: int) -> None:
    """dLoRA's artifact, 8 GPUs: 12.8 and 13.0 requests/s, models packed onto the cards 1.77 and 1.26."""
    at = {"adapters": adapters, "gpus": 2, "per_s": 12.0}
    found = ratio({"system": "dlora", **at}, {"system": "vllm-packed", **at})
    assert found.low > 2.0
