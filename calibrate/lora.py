"""Unmerged LoRA of one adapter: shrink (n = rank) and expand (k = rank), small products of the same table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from calibrate.relative import Held, Points, fit

LARGEST_TOKENS, ELEMENT_BYTES = 4096, 2


def fit_lora(gemm: pd.DataFrame, ranks: Sequence[int], smallest_dim: int) -> tuple[dict[str, Any], dict[str, Held]]:
    """Coefficients of :class:`simlora.latency.kernels.LoraKernels` on shrink + expand pairs of one dimension.

    A pair d -> rank -> d, d at least ``smallest_dim``, stands for a projection with d_in + d_out = 2 d.
    """
    shrink = gemm[gemm.n.isin(ranks)].rename(columns={"n": "rank", "k": "dim"})
    expand = gemm[gemm.k.isin(ranks)].rename(columns={"k": "rank", "n": "dim"})
    rows = shrink.merge(expand, on=["m", "rank", "dim"])
    rows = rows[(rows.dim >= smallest_dim) & (rows.m <= LARGEST_TOKENS)]
    m, rank, dim = (rows[name].to_numpy(dtype=np.float64) for name in ("m", "rank", "dim"))
    seconds = (rows.seconds_x + rows.seconds_y).to_numpy(dtype=np.float64)
    basis = np.column_stack([np.full_like(m, 2.0), rank * 2 * dim, rank * 2 * dim * m, 2 * dim * m])
    middle = sorted(ranks)[len(ranks) // 2]
    points = Points(basis, seconds, m, 4 * m * rank * dim, 2 * ELEMENT_BYTES * (rank * dim + m * (rank + dim)))
    held = {
        "token counts": points.held_out(np.isin(m, np.unique(m)[1::2])),
        f"rank {middle}": points.held_out(rank == middle),
    }
    names = ("launch_s", "weight_s", "product_s", "row_s")
    return dict(zip(names, map(float, fit(basis, seconds)), strict=True)), held
