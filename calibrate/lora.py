"""Unmerged LoRA of one adapter: shrink (n = rank) and expand (k = rank), small products of the same table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from calibrate.relative import Error, fit, held_out

RANKS = (32, 64, 128)
LARGEST_TOKENS = 4096


def fit_lora(gemm: pd.DataFrame) -> tuple[dict[str, Any], dict[str, Error]]:
    """Coefficients of :class:`simlora.latency.kernels.LoraKernels` on shrink + expand pairs of one dimension.

    A pair d -> rank -> d stands for a projection with d_in + d_out = 2 d. Ranks below 32 lie under the launch.
    """
    shrink = gemm[gemm.n.isin(RANKS)].rename(columns={"n": "rank", "k": "dim"})
    expand = gemm[gemm.k.isin(RANKS)].rename(columns={"k": "rank", "n": "dim"})
    rows = shrink.merge(expand, on=["m", "rank", "dim"])
    rows = rows[(rows.dim >= 1024) & (rows.m <= LARGEST_TOKENS)]
    m, rank, dim = (rows[name].to_numpy(dtype=np.float64) for name in ("m", "rank", "dim"))
    seconds = (rows.seconds_x + rows.seconds_y).to_numpy(dtype=np.float64)
    basis = np.column_stack([np.full_like(m, 2.0), rank * 2 * dim, rank * 2 * dim * m, 2 * dim * m])
    errors = {
        "token counts": held_out(basis, seconds, np.isin(m, np.unique(m)[1::2])),
        "rank 64": held_out(basis, seconds, rank == 64),
    }
    names = ("launch_s", "weight_s", "product_s", "row_s")
    return dict(zip(names, map(float, fit(basis, seconds)), strict=True)), errors
