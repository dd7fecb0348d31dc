"""``python -m calibrate.engine_tables``: the figures of the engine profiles that are computed, beside those shipped.

vLLM's host times are what public step times on H100 take beyond this project's H100 kernels; those of eager
Transformers what one published decode figure on L40S takes beyond the L40S kernels. The H100 of the step times has
64 GB and slower memory than the one the kernels were timed on, so a part of "host" is memory time there.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from calibrate.data import ending, public_data
from calibrate.relative import Array, Error, error, fit
from simlora.latency import ModelLatency, load_profile

EAGER_DECODE_S, EAGER_CONTEXT_TOKENS, EAGER_RANK = 0.0539, 256, 16
FIRST_INFERENCE_S, TIMELINE_PROMPT_TOKENS = 1.10, 67
STEP_TIME_SLOTS, STEP_TIME_RANK, STEP_TIME_PROMPT_TOKENS = 300, 8, 5
MODEL = "llama-3.1-8b"


class VllmHost(NamedTuple):
    """Host seconds of vLLM as in the engine profile, and errors of whole steps on every second point, held out."""

    step_s: float
    sequence_s: float
    slot_s: float
    lora_step_s: float
    lora_adapter_s: float
    lora_sequence_s: float
    dispatch_s: float
    request_s: float
    base: Error
    lora: Error


def eager_layer_s() -> float:
    """Host seconds per layer of a step of eager Transformers with PEFT."""
    model = load_profile("l40s", "hf-eager").model(MODEL)
    kernels = model.decode_step_s([EAGER_CONTEXT_TOKENS], [EAGER_RANK]) - model.host_s(1, 1)
    return (EAGER_DECODE_S - kernels) / model.backbone.layers


def first_run_s() -> float:
    """What the first inference of the timeline figure takes beyond the kernels stage and a warm prefill."""
    profile = load_profile("l40s", "hf-eager")
    kernels = next(stage.seconds for stage in profile.startup if stage.name == "kernels")
    warm = profile.model("llama-2-7b").prefill_s([TIMELINE_PROMPT_TOKENS], [EAGER_RANK])
    return FIRST_INFERENCE_S - kernels - warm


def vllm_host(folder: Path) -> VllmHost:
    """Fit on ``folder`` = the lora_dt tables (GPULLMAdapterOptimization, Apache-2.0)."""
    steps = pd.read_csv(folder / "step_time_by_tokens_and_adapters.csv")
    steps = steps[steps.model.str.startswith("llama") & (steps.n >= 20)]
    client = pd.read_csv(folder / "fixed_batch_client_metrics.csv")
    client = client[client.model.str.startswith("llama")]
    model = load_profile("h100-sxm", "hf-eager").model(MODEL)

    slots, alone_s, first_s = single_requests(client)
    slot_s = float(np.polyfit(slots, alone_s, 1)[0])
    request_s = seconds_a_request(client)

    base, lora = steps[steps.adapters == 0], steps[steps.adapters > 0]
    base_host = _beyond_kernels(base, model)
    batch = base.tokens.to_numpy(dtype=np.float64)
    step_s, sequence_s = fit(np.column_stack([np.ones_like(batch), batch]), base_host)
    measured = base.step_ms_median.to_numpy(dtype=np.float64) * 1e-3
    base_error = error(measured - base_host + step_s + sequence_s * batch, measured)

    batch, adapters = (lora[name].to_numpy(dtype=np.float64) for name in ("tokens", "adapters"))
    extra = _beyond_kernels(lora, model) - step_s - sequence_s * batch - slot_s * STEP_TIME_SLOTS
    basis = np.column_stack([np.ones_like(batch), adapters - 1, batch])
    measured = lora.step_ms_median.to_numpy(dtype=np.float64) * 1e-3
    held = np.arange(len(lora)) % 2 == 1
    predicted = measured - extra + basis @ fit(basis[~held], extra[~held])
    lora_step_s, adapter_s, lora_sequence_s = fit(basis, extra)
    return VllmHost(
        float(step_s),
        float(sequence_s),
        slot_s,
        float(lora_step_s),
        float(adapter_s),
        float(lora_sequence_s),
        float(np.median(first_s - alone_s)) - request_s,
        request_s,
        base_error,
        error(predicted[held], measured[held]),
    )


def _beyond_kernels(steps: pd.DataFrame, model: ModelLatency) -> Array:
    outputs = steps.run.str.extract(r"_1_(\d+)")[0].astype(float)
    contexts = (STEP_TIME_PROMPT_TOKENS + outputs / 2) * steps.tokens
    beyond = []
    for tokens, adapters, context, ms in zip(steps.tokens, steps.adapters, contexts, steps.step_ms_median, strict=True):
        used = min(int(adapters), 1)
        a, c = model.decode_line(int(tokens), used, STEP_TIME_RANK)
        beyond.append(ms * 1e-3 - (a + c * context - model.host_s(int(tokens), used)))
    return np.array(beyond, dtype=np.float64)


def single_requests(client: pd.DataFrame) -> tuple[Array, Array, Array]:
    """(slots, seconds per token, seconds to first token) of single requests on an idle server with LoRA on."""
    runs = client[client.run.str.fullmatch(r"_\d+_(8|16)_") & client.median_itl_ms.notna()]
    slots = runs.run.str.extract(r"_(\d+)_")[0].to_numpy(dtype=np.float64)
    alone, first = (runs[name].to_numpy(dtype=np.float64) * 1e-3 for name in ("median_itl_ms", "mean_ttft_ms"))
    return slots, alone, first


def seconds_a_request(client: pd.DataFrame) -> float:
    """Seconds per request at no prompt tokens: intercept over runs that only prefill, three mean prompt lengths."""
    runs = client[client.run.str.startswith("input/")]
    per_request = (runs.duration / runs.num_prompts).to_numpy(dtype=np.float64)
    tokens = (runs.total_input_tokens / runs.num_prompts).to_numpy(dtype=np.float64)
    return float(np.polyfit(tokens, per_request, 1)[1])


def main() -> None:
    """Print what the engine profiles should say."""
    print(f"hf-eager host.layer_s {eager_layer_s():.6f}, first_run {first_run_s():.2f} s")
    for name, value in vllm_host(public_data("calibration/lora_dt"))._asdict().items():
        print(f"vllm-0.8.5 {name}: {value}" if isinstance(value, Error) else f"vllm-0.8.5 {name}: {value:.3e}")


if __name__ == "__main__":
    sys.exit(ending(main))
