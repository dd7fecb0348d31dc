"""Unmerged adapters on one projection by rank, rows and number of distinct adapters; merging and unmerging one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from calibrate.measure.bench import Bench
from calibrate.measure.plan import Case, Plan


def cases(plan: Plan) -> list[Case]:
    """``unmerged`` beyond the base product, ``merge`` of one adapter into one projection (unmerging costs the same)."""
    batches = plan.some((1, 8, 32, 128, 512, 2048), (1, 4, 16, 32, 64, 128, 256, 512, 2048, 4096), (1, 16))
    adapters = plan.some((1, 4, 16, 32), (1, 2, 4, 8, 16, 32, 64, 128), (1, 4))
    rows: list[Case] = []
    for model in plan.models:
        for d_in, d_out in dict.fromkeys(model.projections.values()):
            shape = {"d_in": d_in, "d_out": d_out}
            rows += [{"kind": "merge", **shape, "rank": rank, "tokens": 0, "adapters": 1} for rank in plan.ranks]
        square = {"d_in": model.hidden, "d_out": model.hidden}
        rows += [
            {"kind": "unmerged", **square, "rank": rank, "tokens": tokens, "adapters": count}
            for rank in plan.ranks
            for tokens in batches
            for count in adapters
            if tokens % count == 0
        ]
    return list({tuple(row.items()): row for row in rows}.values())


def measure(bench: Bench, case: Case) -> Mapping[str, Any]:
    """``seconds``: device time. Several adapters are gathered into one batched product, an equal share of rows each."""
    call = _merge(bench, case) if case["kind"] == "merge" else _unmerged(bench, case)
    return {"seconds": bench.device_s(call)}


def _merge(bench: Bench, case: Case) -> Callable[[], Any]:
    weight = bench.random(case["d_out"], case["d_in"])
    a, b = bench.random(case["rank"], case["d_in"]), bench.random(case["d_out"], case["rank"])
    return lambda: weight.addmm_(b, a, alpha=1e-3)


def _unmerged(bench: Bench, case: Case) -> Callable[[], Any]:
    count, rank, rows = case["adapters"], case["rank"], case["tokens"] // case["adapters"]
    x, y = bench.random(count, rows, case["d_in"]), bench.random(count, rows, case["d_out"])
    a, b = bench.random(count, case["d_in"], rank), bench.random(count, rank, case["d_out"])
    return lambda: torch.baddbmm(y, torch.bmm(x, a), b)
