"""Matrix products C[m, n] = A[m, k] B[k, n] of the models' projections, their heads and their adapters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from calibrate.measure.bench import Bench
from calibrate.measure.plan import Case, Plan
from calibrate.measure.shapes import Shape

HEAD_ROWS = 256
"""Most rows of the head: one for each sequence of a batch."""


def _shapes(plan: Plan) -> dict[tuple[int, int], int]:
    """(n, k) of every product, and the most rows that it is used with."""
    found: dict[tuple[int, int], int] = {}
    rows = max(plan.tokens)
    for model in plan.models:
        found |= {(n, k): rows for k, n in model.projections.values()}
        found.setdefault((model.vocab, model.hidden), min(rows, HEAD_ROWS))
    return found


def _adapter_shapes(plan: Plan, model: Shape) -> dict[tuple[int, int], int]:
    """Shrink and expand of its hidden size by each rank, as ordinary products."""
    rows = max(plan.tokens)
    return {pair: rows for rank in plan.ranks for pair in ((rank, model.hidden), (model.hidden, rank))}


def cases(plan: Plan) -> list[Case]:
    """By shape, then by rows."""
    shapes = _shapes(plan)
    for model in plan.models:
        shapes |= _adapter_shapes(plan, model)
    return [{"m": m, "n": n, "k": k} for (n, k), most in shapes.items() for m in plan.tokens if m <= most]


def measure(bench: Bench, case: Case) -> Mapping[str, Any]:
    """``seconds``: device time of one product."""
    a, b = bench.random(case["m"], case["k"]), bench.random(case["n"], case["k"])
    return {"seconds": bench.device_s(lambda: torch.nn.functional.linear(a, b))}
