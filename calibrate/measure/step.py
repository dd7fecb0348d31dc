"""Whole steps, as the check on the sum of their kernels: one layer and the whole model, prefill and decode.

``device_s`` is the time of the kernels alone: a captured graph of the step, replayed, on a GPU. ``seconds`` is what
eager execution takes on the host's clock. The difference is host time that the kernels do not hide.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from calibrate.measure.bench import Bench
from calibrate.measure.block import Model, model_bytes
from calibrate.measure.plan import Case, Plan
from calibrate.measure.shapes import load_shape

SPARE_BYTES = 2 * 2**30


def cases(plan: Plan) -> list[Case]:
    """Of each model: one layer, then all; with and without an adapter."""
    rows: list[Case] = []
    prompts = plan.some((67, 256, 1024), (67, 128, 256, 512, 1024, 2048, 4096), (16, 64))
    batches = plan.some((1, 8, 32), (1, 4, 8, 16, 32, 64), (1, 4))
    for model in plan.models:
        for layers in (1, model.layers):
            for rank in (0, 16):
                shape = {"model": model.name, "layers": layers, "rank": rank}
                rows += [{**shape, "phase": "prefill", "batch": 1, "tokens": tokens} for tokens in prompts]
                rows += [{**shape, "phase": "decode", "batch": batch, "tokens": 256} for batch in batches]
    return rows


def measure(bench: Bench, case: Case) -> Mapping[str, Any]:
    """``seconds`` eager, ``device_s`` of the kernels; a model that does not fit is left out."""
    shape, batch, layers = load_shape(case["model"]), case["batch"], case["layers"]
    decode = case["phase"] == "decode"
    capacity = case["tokens"] + decode
    needed = model_bytes(bench, shape, batch, capacity, layers)
    if needed + (SPARE_BYTES if bench.is_gpu else 0) > bench.free_bytes():
        return {"skipped": f"{needed} bytes do not fit"}
    model = Model(bench, shape, batch, capacity, case["rank"], layers)
    new, past = (1, case["tokens"]) if decode else (case["tokens"], 0)
    tokens = torch.randint(shape.vocab, (batch, new), device=bench.device, generator=bench.rng)
    return step_times(bench, lambda: model(tokens, past))


def step_times(bench: Bench, step: Callable[[], Any]) -> Mapping[str, Any]:
    """Eager on the host's clock, and the kernels alone."""
    eager = bench.wall_s(step)
    if not bench.is_gpu:
        return {"seconds": eager, "device_s": eager}
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return {"seconds": eager, "device_s": bench.device_s(graph.replay)}
