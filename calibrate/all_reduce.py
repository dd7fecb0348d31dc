"""Sums over the GPUs of a node: seconds piecewise linear in the bytes of the message, for each number of GPUs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from calibrate.relative import Array, Held, fit, ramps, values_at_knots

KNOTS = np.array([0, 2**15, 2**18, 2**20, 2**22, 2**25, 2**29], dtype=np.float64)


def fit_all_reduce(messages: pd.DataFrame) -> tuple[dict[str, Any], dict[str, Held]]:
    """Coefficients of :class:`simlora.latency.kernels.AllReduce`; errors on held-out message sizes.

    ``messages``: gpus, bytes and seconds of one sum each.
    """
    counts = np.unique(messages.gpus)
    values: list[list[float]] = []
    predicted, seen, sizes = list[Array](), list[Array](), list[Array]()
    for count in counts:
        rows = messages[messages.gpus == count]
        size, seconds = rows.bytes.to_numpy(np.float64), rows.seconds.to_numpy(np.float64)
        held = np.isin(size, np.unique(size)[1::2])
        basis = ramps(size, KNOTS)
        predicted.append(basis[held] @ fit(basis[~held], seconds[~held]))
        seen.append(seconds[held])
        sizes.append(size[held])
        values.append(values_at_knots(fit(basis, seconds), KNOTS))
    table = {"gpus": [int(count) for count in counts], "knots": [float(knot) for knot in KNOTS], "values": values}
    return table, {"message sizes": Held(_joined(predicted), _joined(seen), _joined(sizes))}


def _joined(parts: list[Array]) -> Array:
    return np.concatenate(parts)
