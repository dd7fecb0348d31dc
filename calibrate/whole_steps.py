"""Whole layers and whole steps that others measured, beside the sums of this project's kernels: no fit sees them.

Layers: Vidur (MIT, 7d47513; Sarathi-Serve's kernels of 2024) and LLMServingSim (MIT, 5daddb2). Steps: Splitwise (MIT,
8f99e7d), Llama-2-70B over 2 to 8 GPUs, host time and sampling included.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from calibrate.relative import Held
from simlora.entities import Backbone
from simlora.latency import Profile, load_backbone, load_profile

VIDUR_OPERATORS = (
    *("input_layernorm_ms", "attn_pre_proj_ms", "attn_rope_ms", "attn_post_proj_ms", "post_attention_layernorm_ms"),
    *("mlp_up_proj_ms", "mlp_act_ms", "mlp_down_proj_ms", "add_ms"),
)
SERVINGSIM_OPERATORS = (
    *("input_layernorm", "q_proj", "k_proj", "v_proj", "rope", "o_proj", "post_layernorm"),
    *("gate_proj", "up_proj", "act_fn", "down_proj"),
)
LLAMA_2_70B = Backbone(
    "llama-2-70b", layers=80, hidden=8192, heads=64, kv_heads=8, head_dim=128, intermediate=28672, vocab=32000
)
"""meta-llama/Llama-2-70b-hf, config.json."""


class Measured(NamedTuple):
    """What was measured on a GPU: models of Vidur's tables, LLMServingSim's file, Splitwise's name."""

    vidur: tuple[tuple[str, str], ...]
    gpu: str
    servingsim: str | None
    splitwise: str


MEASURED = {
    "a100-sxm-80gb": Measured(
        (("Llama-2-7b-hf", "llama-2-7b"), ("Meta-Llama-3-8B", "llama-3.1-8b")), "a100", None, "a100-80gb"
    ),
    "h100-sxm": Measured(
        (("Llama-2-7b-hf", "llama-2-7b"),), "h100", "v0_H100_Llama-3.1-8B_tp1_layers.csv", "h100-80gb"
    ),
}


def whole_steps(folder: Path, name: str) -> dict[str, Held]:
    """Measured and predicted by what was measured; ``folder`` = calibration tables, none of a GPU without any."""
    if name not in MEASURED:
        return {}
    measured, profile = MEASURED[name], load_profile(name, "no-engine")
    held: dict[str, Held] = {}
    layers = pd.read_csv(folder / "vidur" / "layer_ops_median_tp1.csv")
    for title, backbone in measured.vidur:
        rows = layers[(layers.gpu == measured.gpu) & (layers.model == title)]
        seconds = rows[list(VIDUR_OPERATORS)].sum(axis=1) * 1e-3
        held[f"a layer of {backbone} without attention, Vidur"] = _layer(profile, backbone, rows.num_tokens, seconds)
    if measured.servingsim:
        long = pd.read_csv(folder / "llmservingsim" / measured.servingsim)
        wide = long.pivot_table(index="input", columns="layer_name", values="latency(ns)", aggfunc="median")
        seconds = wide[list(SERVINGSIM_OPERATORS)].sum(axis=1) * 1e-9
        tokens = wide.index.to_series()
        what = "a layer of llama-3.1-8b without attention, LLMServingSim"
        held[what] = _layer(profile, "llama-3.1-8b", tokens, seconds)
    return held | _splitwise(folder, profile, measured.splitwise)


def _layer(profile: Profile, backbone: str, tokens: pd.Series[int], seconds: pd.Series[float]) -> Held:
    """A layer is what a backbone of two has more than one of one."""
    whole = load_backbone(backbone)
    one, two = (profile.model(replace(whole, name=f"{whole.name}, {n}", layers=n)) for n in (1, 2))
    predicted = [two.linear_s(int(m), 1) - one.linear_s(int(m), 1) for m in tokens]
    return Held(np.array(predicted), *(np.asarray(column, dtype=np.float64) for column in (seconds, tokens)))


def _splitwise(folder: Path, profile: Profile, hardware: str) -> dict[str, Held]:
    """Prompts of one request, and steps that decode for 1 to 64 requests with prompts of 512 tokens."""
    rows = pd.read_csv(folder / "splitwise" / "perf_model_llama2_70b_median.csv")
    rows = rows[(rows.hardware == hardware) & (rows.token_size == 128)]
    backbones = {n: replace(LLAMA_2_70B, tensor_parallel=n) for n in sorted(rows.tensor_parallel.unique())}
    models = [profile.model(backbones[n]) for n in rows.tensor_parallel]
    cases = list(zip(models, rows.prompt_size, rows.batch_size, strict=True))
    prefill = np.array([model.prefill_s([int(prompt)] * int(batch)) for model, prompt, batch in cases])
    decode = np.array([model.decode_step_s([int(prompt) + 64] * int(batch)) for model, prompt, batch in cases])
    tokens, batch = ((rows.prompt_size * rows.batch_size).to_numpy(np.float64), rows.batch_size.to_numpy(np.float64))
    return {
        "a prefill of llama-2-70b, host time included, Splitwise": Held(
            prefill, rows.prompt_time_ms.to_numpy(np.float64) * 1e-3, tokens
        ),
        "a decode step of llama-2-70b, host time included, Splitwise": Held(
            decode, rows.token_time_ms.to_numpy(np.float64) * 1e-3, batch
        ),
    }
