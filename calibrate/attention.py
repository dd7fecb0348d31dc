"""Attention of one layer: prefill by tokens and their squares, decode by batch and bytes of KV read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from calibrate.relative import Array, Held, Points, fit, ramps, values_at_knots

HELD_OUT_HEADS, ELEMENT_BYTES = 40, 2
OPERAND_KNOTS = np.array([0, 8, 16, 32, 64, 128, 4096], dtype=np.float64) * 2**20
SMALLEST_CONTEXT = 64
LAUNCH_BOUND_BYTES = 2**21


def fit_prefill(attention: pd.DataFrame) -> tuple[dict[str, Any], dict[str, Held]]:
    """Coefficients of :class:`simlora.latency.kernels.PrefillAttention`.

    ``attention``: heads, kv_heads, row_bytes (of one head of one token), batch, tokens of each prompt, seconds.
    """
    heads, kv_heads, row_bytes, batch, prompt = (
        attention[name].to_numpy(dtype=np.float64) for name in ("heads", "kv_heads", "row_bytes", "batch", "tokens")
    )
    seconds = attention.seconds.to_numpy(dtype=np.float64)
    operands = 2 * (heads + kv_heads) * row_bytes * batch * prompt
    basis = np.column_stack([heads * batch * prompt**2, ramps(operands, OPERAND_KNOTS)])
    lengths = np.unique(prompt)
    head_dim = row_bytes / ELEMENT_BYTES
    points = Points(basis, seconds, batch * prompt, 2 * heads * head_dim * batch * prompt**2, operands)
    held = {
        "prompt lengths": points.held_out(np.isin(prompt, lengths[1::2])),
        **_other_heads(points, heads),
    }
    pair, *ramp = fit(basis, seconds)
    values = values_at_knots(np.array(ramp), OPERAND_KNOTS)
    return {"pair_s": float(pair), "knots": [float(k) for k in OPERAND_KNOTS], "values": values}, held


def fit_decode(attention: pd.DataFrame, cache_bytes: int) -> tuple[dict[str, Any], dict[str, Held]]:
    """Coefficients of :class:`simlora.latency.kernels.DecodeAttention`.

    Between two visits of a layer a decode step streams all weights, so KV is never cached; of the table, only calls
    whose KV exceeds the last-level cache, or is so small that the launch bounds them, show what a step sees. Where
    the cache was emptied before each call (``cache_bytes`` 0), all do. Columns as for :func:`fit_prefill`, ``tokens``
    being those of each context.
    """
    token = 2 * attention.kv_heads * attention.row_bytes
    kv = token * attention.batch * attention.tokens
    cold = (kv >= 1.5 * cache_bytes) | (kv <= LAUNCH_BOUND_BYTES)
    rows = attention[(attention.tokens >= SMALLEST_CONTEXT) & cold]
    kv_bytes, token_bytes = (column[rows.index].to_numpy(dtype=np.float64) for column in (kv, token))
    batch, heads, context = (rows[name].to_numpy(dtype=np.float64) for name in ("batch", "heads", "tokens"))
    seconds = rows.seconds.to_numpy(dtype=np.float64)
    basis = np.column_stack([np.ones_like(batch), batch * token_bytes, kv_bytes])
    head_dim = rows.row_bytes.to_numpy(dtype=np.float64) / ELEMENT_BYTES
    points = Points(basis, seconds, batch * context, 4 * heads * head_dim * batch * context, kv_bytes)
    held = {
        "contexts": points.held_out(np.isin(context, np.unique(context)[1::2])),
        **_other_heads(points, heads),
    }
    launch, per_sequence_byte, per_byte = fit(basis, seconds)
    table = {
        "launch_s": float(launch),
        "sequence_tokens": float(per_sequence_byte / per_byte),
        "bytes_per_s": float(1 / per_byte),
        "max_context_tokens": int((batch * context).max()),
    }
    return table, held


def _other_heads(points: Points, heads: Array) -> dict[str, Held]:
    """Points of a number of heads that the fit has not seen, where there are several."""
    held = heads == HELD_OUT_HEADS
    if not held.any() or held.all():
        return {}
    return {f"{HELD_OUT_HEADS} heads": points.held_out(held)}
