"""How requests of adapters are best shared out among replicas: dLoRA's integer program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp

Array = NDArray[np.floating[Any]]


def share_out(
    counts: Array,
    kv_gb: Array,
    *,
    room_gb: Sequence[float],
    places: Sequence[int],
    exec_s: float,
    move_s: float,
    s_per_gb: float,
    gap: float,
    node_limit: int,
) -> Array | None:
    """The share x(a, j) of each adapter's requests that each replica should have; none if no answer was found.

    ``counts``: the requests of adapter a that are at replica j now; ``kv_gb``: the KV of all of an adapter's requests;
    ``room_gb`` and ``places``: the KV memory and adapter places of each replica. Minimises T with, for each j,
    T >= sum exec_s n(a) x(a, j) + move_s moved(j) + s_per_gb (KV beyond its memory), to within the share ``gap`` of the
    best, or as near to it as the search of ``node_limit`` nodes comes.
    """
    adapters, replicas = counts.shape
    sizes = {"share": counts.size, "there": counts.size, "moved": counts.size, "beyond": replicas, "longest": 1}
    totals = np.repeat(counts.sum(axis=1), replicas)
    each, of_adapter = np.eye(counts.size), np.kron(np.eye(adapters), np.ones(replicas))
    of_replica, replica = np.kron(np.ones(adapters), np.eye(replicas)), np.eye(replicas)

    def row(**parts: Array) -> Array:
        height = len(next(iter(parts.values())))
        return np.hstack([parts.get(name, np.zeros((height, size))) for name, size in sizes.items()])

    at_most: list[tuple[Array, Array]] = [
        (row(share=each, there=-each), np.zeros(counts.size)),
        (row(share=each * totals, moved=-each), counts.ravel()),
        (row(there=of_replica), np.asarray(places, float)),
        (row(share=of_replica * np.repeat(kv_gb, replicas), beyond=-replica), np.asarray(room_gb, float)),
        (
            row(
                share=of_replica * totals * exec_s,
                moved=of_replica * move_s,
                beyond=replica * s_per_gb,
                longest=-np.ones((replicas, 1)),
            ),
            np.zeros(replicas),
        ),
    ]
    constraints = [LinearConstraint(matrix, np.full(len(most), -np.inf), most) for matrix, most in at_most]
    constraints.append(LinearConstraint(row(share=of_adapter), np.ones(adapters), np.ones(adapters)))
    upper = {"share": 1.0, "there": 1.0}
    found = milp(
        np.concatenate([np.full(size, float(name == "longest")) for name, size in sizes.items()]),
        integrality=np.concatenate([np.full(size, int(name == "there")) for name, size in sizes.items()]),
        bounds=Bounds(0.0, np.concatenate([np.full(size, upper.get(name, np.inf)) for name, size in sizes.items()])),
        constraints=constraints,
        options={"mip_rel_gap": gap, "node_limit": node_limit},
    )
    return found.x[: counts.size].reshape(counts.shape) if found.x is not None else None


def whole(shares: Array, total: int) -> list[int]:
    """``total`` shared out in whole numbers, the largest remainders rounded up."""
    wanted = shares * total
    parts = np.floor(wanted + 1e-6).astype(int)
    order = sorted(range(len(parts)), key=lambda j: (parts[j] - wanted[j], j))
    for j in order[: total - int(parts.sum())]:
        parts[j] += 1
    return [int(part) for part in parts]
