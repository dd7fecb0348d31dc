"""Host time of engines for many adapters, from what was published of them: ``python -m calibrate.multi_lora``.

S-LoRA: the host time with which this project's engine serves 8.05 requests/s where S-LoRA did, with 5 adapters. What it
does with more adapters is not used. Punica: the mean step behind its published tokens/s, less this project's kernels.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from simlora.cluster.config import ClusterConfig
from simlora.entities import Function
from simlora.latency import engines, load_profile
from simlora.latency.models import load_backbone
from simlora.testing.scenario import Scenario, make_workload

S_LORA_REQ_PER_S = 8.05
"""S1: Llama-2-7B, rank 8 on q, k, v, o, 5 adapters, A100 80 GB, 10 requests/s offered; S-LoRA's artifact."""
PUNICA_TOKENS_PER_S, PUNICA_BATCH, PUNICA_RANK = 1044, 32, 16
"""Llama-2-7B on A100 80 GB at its largest batch; Punica (MLSys'24), section 7."""
PUNICA_CONTEXT = 512
"""Mean tokens in KV of a request, an assumption: ShareGPT's prompts and answers are a few hundred tokens each."""
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")


def s1(adapters: int, rate_per_s: float = 10.0, seconds: float = 300.0, seed: int = 0) -> Scenario:
    """S-LoRA's S1: Poisson arrivals, popularity 1 / rank, prompts and answers of 8 to 512 tokens, all as likely.

    A request states how much it will produce, as S-LoRA's benchmark does.
    """
    rng = np.random.default_rng(seed)
    number = rng.poisson(rate_per_s * seconds)
    weights = 1 / np.arange(1, adapters + 1)
    function = rng.choice(adapters, number, p=weights / weights.sum())
    prompt, output = rng.integers(8, 513, number), rng.integers(8, 513, number)
    columns = np.sort(rng.uniform(0, seconds, number)), function, prompt, output
    workload = make_workload(list(zip(*(column.tolist() for column in columns), strict=True)))
    backbone = load_backbone("llama-2-7b")
    functions = [Function(i, f"a{i}", backbone, 8, ATTENTION, 6.0) for i in range(adapters)]
    one_gpu = ClusterConfig(nodes=1, gpus_per_node=1)
    stated = replace(workload, max_new_tokens=workload.output_tokens)
    return Scenario("s-lora", functions, stated, cluster=one_gpu, profile="a100-sxm-80gb")


def served_per_s(scenario: Scenario) -> float:
    """Requests finished per second until the last of them is."""
    finished_s = scenario.run().requests["finished_s"].to_numpy()
    return float(len(finished_s) / np.nanmax(finished_s))


def s_lora_layer_s() -> float:
    """Seconds a layer, by bisection to a microsecond."""
    shipped = (Path(engines.HERE) / "s-lora.toml").read_text(encoding="utf-8")
    low, high = 0.0, 2e-3
    with TemporaryDirectory() as folder:
        path = Path(folder) / "tried.toml"
        while high - low > 1e-6:
            middle = (low + high) / 2
            lines = [f"layer_s = {middle}" if line.startswith("layer_s") else line for line in shipped.splitlines()]
            path.write_text("\n".join(lines), encoding="utf-8")
            faster = served_per_s(replace(s1(5), overrides={"engine": str(path)})) > S_LORA_REQ_PER_S
            low, high = (middle, high) if faster else (low, middle)
    return (low + high) / 2


def punica_layer_s() -> float:
    """Seconds a layer: a step of the largest batch less its kernels. Prefills are in the step and not taken off."""
    model = load_profile("a100-sxm-80gb", "no-engine").model("llama-2-7b")
    kernels_s = model.decode_step_s([PUNICA_CONTEXT] * PUNICA_BATCH, [PUNICA_RANK])
    return (PUNICA_BATCH / PUNICA_TOKENS_PER_S - kernels_s) / model.backbone.layers


if __name__ == "__main__":
    print(f"s-lora: layer_s = {s_lora_layer_s():.6f}")
    print(f"punica: layer_s = {punica_layer_s():.6f}")
