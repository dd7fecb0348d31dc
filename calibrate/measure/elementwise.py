"""Norms, rotary embedding, the gated activation, and the choice of a token: kernels that only move bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from calibrate.measure.bench import Bench
from calibrate.measure.plan import Case, Plan

KINDS = ("norm", "rotary", "activation", "add", "greedy", "sample")


def cases(plan: Plan) -> list[Case]:
    """Each kind of the largest and of the smallest model by rows."""
    sizes = plan.some((1, 16, 128, 1024, 8192), (1, 4, 16, 64, 256, 1024, 4096, 8192), (1, 64))
    models = dict.fromkeys((plan.smallest, plan.largest))
    return [
        {"kind": kind, "rows": rows, "width": _width(kind, model)}
        for model in models
        for kind in KINDS
        for rows in sizes
        if kind not in ("greedy", "sample") or rows <= 256
    ]


def _width(kind: str, model: Any) -> int:
    """Elements of a row of the first operand."""
    width: dict[str, int] = {"activation": model.intermediate, "greedy": model.vocab, "sample": model.vocab}
    return width.get(kind, model.hidden)


def measure(bench: Bench, case: Case) -> Mapping[str, Any]:
    """``seconds``: device time; ``bytes``: operands read and written."""
    rows, width = case["rows"], case["width"]
    x = bench.random(rows, width)
    call, passes = _call(case["kind"], bench, x)
    return {"seconds": bench.device_s(call), "bytes": passes * rows * width * bench.dtype.itemsize}


def _call(kind: str, bench: Bench, x: torch.Tensor) -> tuple[Callable[[], Any], int]:
    rows, width = x.shape
    if kind == "norm":
        weight = bench.random(width)
        return (lambda: torch.nn.functional.rms_norm(x, (width,), weight)), 2
    if kind == "rotary":
        half = width // 2
        cos, sin = bench.random(rows, half), bench.random(rows, half)

        def rotate() -> torch.Tensor:
            left, right = x[:, :half], x[:, half:]
            return torch.cat((left * cos - right * sin, right * cos + left * sin), dim=1)

        return rotate, 3
    if kind == "activation":
        gate = bench.random(rows, width)
        return (lambda: torch.nn.functional.silu(gate) * x), 3
    if kind == "add":
        y = bench.random(rows, width)
        return (lambda: x + y), 3
    if kind == "greedy":
        return (lambda: x.argmax(dim=1)), 1
    return (lambda: torch.multinomial(torch.softmax(x.float(), dim=1), 1)), 3
