"""Matrix products of whole projections: seconds = launch + depth k + n k w(m) + row m (n + k).

w is piecewise linear in m. The term of k: however few tiles a product has, each runs through the whole depth k.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from calibrate.relative import Array, Held, Points, fit, ramps, values_at_knots

ELEMENT_BYTES = 2
KNOTS = np.array([1, 64, 128, 256, 512, 1024, 2048, 8192, 32768], dtype=np.float64)


def fit_linear(gemm: pd.DataFrame) -> tuple[dict[str, Any], dict[str, Held]]:
    """Coefficients of :class:`simlora.latency.kernels.LinearKernels`; held-out token counts and shapes.

    ``gemm``: m, n, k and seconds of products that are whole projections.
    """
    m, n, k = (gemm[name].to_numpy(dtype=np.float64) for name in ("m", "n", "k"))
    seconds = gemm.seconds.to_numpy(dtype=np.float64)
    measured = np.unique(m)
    knots = KNOTS[np.array([at in measured for at in KNOTS])]
    basis = _basis(m, n, k, knots)
    shape = gemm.groupby(["n", "k"]).ngroup().to_numpy()
    points = Points(basis, seconds, m, 2 * m * n * k, ELEMENT_BYTES * (n * k + m * (n + k)))
    held = {
        "token counts": points.held_out(np.isin(m, measured[1::2]) & ~np.isin(m, knots)),
        "shapes": points.held_out(shape % 3 == 1),
    }
    launch, depth, row, *weights = fit(basis, seconds)
    table = {
        "launch_s": float(launch),
        "depth_s": float(depth),
        "row_s": float(row),
        "knots": [float(knot) for knot in knots],
        "values": values_at_knots(np.array(weights), knots),
    }
    return table, held


def _basis(m: Array, n: Array, k: Array, knots: Array) -> Array:
    return np.column_stack([np.ones_like(m), k, m * (n + k), ramps(m, knots) * (n * k)[:, None]])
