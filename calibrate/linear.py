"""Matrix products of whole projections: seconds = launch + n k w(m) + row m (n + k), w piecewise linear in m."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from calibrate.relative import Array, Error, fit, held_out, ramps, values_at_knots

KNOTS = np.array([1, 64, 128, 256, 512, 1024, 2048, 8192, 32768], dtype=np.float64)


def fit_linear(gemm: pd.DataFrame) -> tuple[dict[str, Any], dict[str, Error]]:
    """Coefficients of :class:`simlora.latency.kernels.LinearKernels`; errors on held-out token counts and shapes.

    ``gemm``: m, n, k and seconds of products that are whole projections.
    """
    m, n, k = (gemm[name].to_numpy(dtype=np.float64) for name in ("m", "n", "k"))
    seconds = gemm.seconds.to_numpy(dtype=np.float64)
    measured = np.unique(m)
    knots = KNOTS[np.array([at in measured for at in KNOTS])]
    basis = _basis(m, n, k, knots)
    shape = gemm.groupby(["n", "k"]).ngroup().to_numpy()
    errors = {
        "token counts": held_out(basis, seconds, np.isin(m, measured[1::2]) & ~np.isin(m, knots)),
        "shapes": held_out(basis, seconds, shape % 3 == 1),
    }
    launch, row, *weights = fit(basis, seconds)
    table = {
        "launch_s": float(launch),
        "row_s": float(row),
        "knots": [float(knot) for knot in knots],
        "values": values_at_knots(np.array(weights), knots),
    }
    return table, errors


def _basis(m: Array, n: Array, k: Array, knots: Array) -> Array:
    return np.column_stack([np.ones_like(m), m * (n + k), ramps(m, knots) * (n * k)[:, None]])
