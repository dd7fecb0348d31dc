"""Card and engine of the machine that was measured, from step times and single requests: ``python fit.py``.

Writes ``h100-64gb.toml`` and ``vllm-0.8.5-qwen.toml`` beside this file. Serving runs are not looked at.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tomli_w

from calibrate.data import ending, public_data
from calibrate.engine_tables import seconds_a_request, single_requests
from calibrate.public_tables import PROFILES, rounded
from calibrate.relative import Array, error, fit
from simlora.latency import ModelLatency, load_gpu, load_profile

HERE = Path(__file__).parent
ENGINE, CARD, OTHER_CARD = "vllm-0.8.5-qwen", "h100-64gb", "h100-sxm"
MEMORY_BYTES, USABLE_BYTES = 64 * 2**30, 64_099_000_000
"""Of the card, and what leaves as many tokens of KV as kv_capacity_vs_adapter_slots says: 3.8 GB less than a driver
would report of it, for what vLLM holds beyond this project's account of activations."""
SOURCE = "github.com/FerranAgulloLopez/GPULLMAdapterOptimization bae36e2dad9615d851ff32d10a96633d21615647, Apache-2.0"
BACKBONE = str(HERE / "qwen2.5-7b")
PROMPT_TOKENS, SLOTS, RANK = 4, 300, 8
MIXED_TOKENS, MIXED_PREFILLS, MIXED_DECODES, MIXED_PROMPT, MIXED_CONTEXT = 2016, 36, 216, 50, 75
"""Steps of the run with prompts and answers of 50 tokens and up to 256 sequences: so many of each make 2,016 rows."""


def card() -> dict[str, Any]:
    """Kernels of the H100 of 80 GB on a card of 64 GB: a factor of its memory can't be told from host time here."""
    table = tomllib.loads((PROFILES / f"{OTHER_CARD}.toml").read_text(encoding="utf-8"))
    label = {"label": "transferred", "source": f"as of {OTHER_CARD}: {table['source']}"}
    device = load_gpu(OTHER_CARD).model_dump(mode="json") | label
    device |= {"title": "NVIDIA H100 64 GB", "memory_bytes": MEMORY_BYTES, "usable_bytes": USABLE_BYTES}
    device["usable_source"] = "fitted: leaves as many tokens of KV as kv_capacity_vs_adapter_slots says"
    parts = {name: part | {"label": "transferred"} for name, part in table.items() if isinstance(part, dict)}
    return table | label | {"name": CARD, "device": device} | parts


def fit_engine(folder: Path) -> dict[str, Any]:
    """A table for :class:`simlora.latency.EngineProfile`; ``folder`` = the lora_dt tables."""
    steps = pd.read_csv(folder / "step_time_by_tokens_and_adapters.csv")
    steps = steps[steps.model.str.startswith("qwen") & (steps.n >= 20)]
    mixed = steps[(steps.tokens == MIXED_TOKENS) & steps.run.str.startswith("_300_8__50")]
    steps = steps[steps.run.str.startswith("_250_")]
    client = pd.read_csv(folder / "fixed_batch_client_metrics.csv")
    client = client[client.model.str.startswith("qwen")]
    model = load_profile(OTHER_CARD, "no-engine").model(BACKBONE)
    slots, alone_s, first_s = single_requests(client)
    slot_s, request_s = float(np.polyfit(slots, alone_s, 1)[0]), seconds_a_request(client)
    host, host_error = base(steps[steps.adapters == 0], model)
    lora, lora_error = adapters(steps[steps.adapters > 0], model, host, slot_s)
    lora["token_s"] = prefilled_token_s(mixed, model, host, lora, request_s)
    head = {
        "label": "public-table",
        "source": f"{SOURCE}: vLLM 0.8.5, Qwen2.5-7B, H100 64 GB; experiments/lora-serving/fit.py",
    }
    return {
        "schema_version": 1,
        "base": "vllm-0.8.5",
        "name": ENGINE,
        "title": "vLLM 0.8.5 as measured with Qwen2.5-7B",
        **head,
        "valid": "this version, this backbone, this card",
        "host": head | {"valid": "1 to 379 sequences", "error": host_error, "layer_s": 0.0} | host,
        "prefill_host": head
        | {"valid": "single prompts of 12 tokens; 64 of 23 to 86", "request_s": request_s}
        | {"dispatch_s": max(0.0, float(np.median(first_s - alone_s)) - request_s)},
        "lora": head
        | {"valid": "1 to 250 sequences, 1 to 183 adapters, rank 8", "error": lora_error, "slot_bytes": 0}
        | lora,
    }


def beyond_kernels(steps: pd.DataFrame, model: ModelLatency) -> tuple[Array, Array]:
    """(measured seconds, what of them the kernels do not take)."""
    context = (PROMPT_TOKENS + steps.run.str.extract(r"__1_(\d+)")[0].astype(float) / 2) * steps.tokens
    lines = [model.decode_line(int(b), min(int(a), 1), RANK) for b, a in zip(steps.tokens, steps.adapters, strict=True)]
    kernels = np.array([a + c * at for (a, c), at in zip(lines, context, strict=True)])
    measured = steps.step_ms_median.to_numpy(dtype=np.float64) * 1e-3
    return measured, measured - kernels


def base(steps: pd.DataFrame, model: ModelLatency) -> tuple[dict[str, float], str]:
    """Host seconds of a step without LoRA, and the error of whole steps on every second point, held out."""
    measured, beyond = beyond_kernels(steps, model)
    batch = steps.tokens.to_numpy(dtype=np.float64)
    basis = np.column_stack([np.ones_like(batch), batch])
    step_s, sequence_s = map(float, fit(basis, beyond))
    return {"step_s": step_s, "sequence_s": sequence_s}, held_out(basis, measured, beyond)


def adapters(
    steps: pd.DataFrame, model: ModelLatency, host: dict[str, float], slot_s: float
) -> tuple[dict[str, float], str]:
    """Host seconds that LoRA adds to a step that decodes, and the error on every second point, held out."""
    measured, beyond = beyond_kernels(steps, model)
    batch, distinct = (steps[name].to_numpy(dtype=np.float64) for name in ("tokens", "adapters"))
    extra = beyond - host["step_s"] - host["sequence_s"] * batch - slot_s * SLOTS
    basis = np.column_stack([np.ones_like(batch), distinct - 1, batch])
    names = ("step_s", "adapter_s", "sequence_s")
    found = dict(zip(names, map(float, fit(basis, np.maximum(extra, 1e-6))), strict=True))
    return found | {"slot_s": slot_s}, held_out(basis, measured, extra)


def held_out(basis: Array, measured: Array, beyond: Array) -> str:
    """Whole steps of every second point, by a fit on the others."""
    held = np.arange(len(measured)) % 2 == 1
    predicted = measured - beyond + basis @ fit(basis[~held], beyond[~held])
    return f"whole steps, held out: {error(predicted[held], measured[held])}"


def prefilled_token_s(
    mixed: pd.DataFrame, model: ModelLatency, host: dict[str, float], lora: dict[str, float], request_s: float
) -> float:
    """Seconds that LoRA adds per token prefilled, from steps that prefill and decode."""
    tokens, batch = MIXED_PREFILLS * MIXED_PROMPT, MIXED_PREFILLS + MIXED_DECODES
    kernels_s = model.prefill_step_s(
        tokens, tokens * MIXED_PROMPT, MIXED_PREFILLS, MIXED_DECODES, MIXED_DECODES * MIXED_CONTEXT, 1, RANK
    )
    host_s = host["step_s"] + host["sequence_s"] * batch + request_s * MIXED_PREFILLS
    host_s += lora["step_s"] + lora["slot_s"] * SLOTS + lora["sequence_s"] * batch
    beyond = mixed.step_ms_median * 1e-3 - kernels_s - host_s - lora["adapter_s"] * (mixed.adapters - 1)
    return max(0.0, float(beyond.median()) / tokens)


def main() -> None:
    """Fit and write both files."""
    table = fit_engine(public_data("calibration/lora_dt"))
    for name, content in ((CARD, card()), (ENGINE, table)):
        (HERE / f"{name}.toml").write_text(tomli_w.dumps(rounded(content)), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(ending(main))
