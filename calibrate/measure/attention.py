"""Attention of one layer: causal over whole prompts, and one new token over the contexts of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch.nn.functional import scaled_dot_product_attention

from calibrate.measure.bench import Bench
from calibrate.measure.plan import Case, Plan

PROMPT_TOKENS = 32_768
"""Most tokens of a prefill that is measured."""


def cases(plan: Plan) -> list[Case]:
    """Prefill by prompts, decode by contexts; shapes that two models share appear once."""
    prompts = plan.some((16, 64, 128, 256, 512, 1024, 2048, 4096, 8192), _half_steps(16, 16384), (16, 128))
    contexts = plan.some((64, 256, 1024, 4096, 16384), _half_steps(64, 32768), (64, 256))
    batches = plan.some((1, 4, 16, 64, 128), (1, 2, 4, 8, 16, 32, 64, 128, 256), (1, 4))
    rows: list[Case] = []
    for heads, kv_heads, dim in dict.fromkeys((m.heads, m.kv_heads, m.head_dim) for m in plan.models):
        shape = {"num_heads": heads, "num_key_value_heads": kv_heads, "head_dim": dim}
        rows += [
            {"phase": "prefill", **shape, "batch_size": batch, "tokens": tokens}
            for batch in batches[:3]
            for tokens in prompts
            if batch * tokens <= PROMPT_TOKENS
        ]
        rows += [
            {"phase": "decode", **shape, "batch_size": batch, "tokens": tokens}
            for batch in batches
            for tokens in contexts
        ]
    return rows


def _half_steps(first: int, last: int) -> tuple[int, ...]:
    """Powers of two from ``first`` to ``last``, and what lies half-way between."""
    steps: list[int] = []
    while first <= last:
        steps += [first, first + first // 2]
        first *= 2
    return tuple(steps[:-1])


def measure(bench: Bench, case: Case) -> Mapping[str, Any]:
    """``seconds``: device time; a case whose operands would take half of the free memory is left out."""
    batch, heads, kv_heads, dim = (case[k] for k in ("batch_size", "num_heads", "num_key_value_heads", "head_dim"))
    tokens, prefill = case["tokens"], case["phase"] == "prefill"
    operands = 2 * batch * kv_heads * tokens * dim * bench.dtype.itemsize
    if operands > bench.free_bytes() // 2:
        return {"skipped": f"{operands} bytes of keys and values do not fit"}
    q = bench.random(batch, heads, tokens if prefill else 1, dim)
    k, v = bench.random(batch, kv_heads, tokens, dim), bench.random(batch, kv_heads, tokens, dim)
    grouped = heads != kv_heads

    def attend() -> None:
        scaled_dot_product_attention(q, k, v, is_causal=prefill, enable_gqa=grouped)

    return {"seconds": bench.device_s(attend)}
