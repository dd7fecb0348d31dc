"""Steps of Hugging Face Transformers with PEFT in eager mode: what the host adds to the kernels, per step.

Needs transformers and peft; where they are missing the cases are left out and say so. A model of few layers and one of
all its layers, so that time per layer and time per step come apart.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import torch

from calibrate.measure.assemble import AS_SERVED, llama_config
from calibrate.measure.bench import Bench
from calibrate.measure.plan import Case, Plan
from calibrate.measure.shapes import Shape, load_shape
from calibrate.measure.step import SPARE_BYTES


def cases(plan: Plan) -> list[Case]:
    """Prefill and decode of the smallest and largest model, without and with an adapter, by batch."""
    rows: list[Case] = []
    for model in dict.fromkeys((plan.smallest, plan.largest)):
        for layers in plan.some((4, model.layers), (4, 16, model.layers), (2, model.layers)):
            for rank in (0, 16):
                for phase, batch, tokens in (("prefill", 1, 67), ("decode", 1, 256), ("decode", 16, 256)):
                    shape = {"model": model.name, "layers": layers, "rank": rank}
                    rows.append({**shape, "phase": phase, "batch": batch, "tokens": tokens})
    return rows


def measure(bench: Bench, case: Case) -> Mapping[str, Any]:
    """``seconds``: one forward call on the host's clock; ``first_s`` of the model's first; ``versions`` of what ran."""
    try:
        import peft
        import transformers
    except ImportError as error:
        return {"skipped": f"no {error.name} here"}
    shape = load_shape(case["model"])
    layers, batch = case["layers"], case["batch"]
    needed = (shape.params * layers // shape.layers + 2 * shape.vocab * shape.hidden) * bench.dtype.itemsize
    if needed + (SPARE_BYTES if bench.is_gpu else 0) > bench.free_bytes():
        return {"skipped": f"{needed} bytes do not fit"}
    model = build(bench, shape, layers, case["rank"])
    ids = torch.randint(shape.vocab, (batch, case["tokens"]), device=bench.device, generator=bench.rng)
    versions: dict[str, Any] = {"transformers": transformers.__version__, "peft": peft.__version__}
    with torch.inference_mode():
        bench.sync()
        began = time.perf_counter()
        cache = model(ids, use_cache=True).past_key_values
        bench.sync()
        versions["first_s"] = time.perf_counter() - began
        if case["phase"] == "prefill":
            return {"seconds": bench.wall_s(lambda: model(ids, use_cache=True)), **versions}
        last = ids[:, -1:]
        # Each call adds a token to the cache: a few dozen of them change the context by little.
        return {"seconds": bench.wall_s(lambda: model(last, past_key_values=cache)), **versions}


def build(bench: Bench, shape: Shape, layers: int, rank: int) -> Any:
    """A ``LlamaForCausalLM`` of random weights on the device, wrapped by PEFT if ``rank`` is not 0."""
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaForCausalLM

    config = llama_config(shape, layers)
    torch.set_default_dtype(bench.dtype)
    try:
        with torch.device(bench.device):
            model = LlamaForCausalLM(config).eval()
    finally:
        torch.set_default_dtype(torch.float32)
    if not rank:
        return model
    return get_peft_model(model, LoraConfig(r=rank, target_modules=sorted(shape.projections)), **AS_SERVED).eval()
