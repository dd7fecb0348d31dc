"""From weights to a model that serves: building Transformers' model around tensors that are there, loading an adapter.

Needs transformers and peft; where they are missing the cases are left out and say so.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from calibrate.measure.bench import Bench
from calibrate.measure.plan import Case, Plan
from calibrate.measure.shapes import Shape, load_shape
from calibrate.measure.storage import adapter_tensors

SAMPLES = 3
AS_SERVED: dict[str, Any] = {"autocast_adapter_dtype": False}
"""Adapters keep the precision of their files; by default PEFT makes them 32 bit."""


def cases(plan: Plan) -> list[Case]:
    """Each model; adapters by rank, on all projections."""
    ranks = plan.some((16,), (8, 16, 64), (8, 16))
    return [{"model": model.name, "rank": rank} for model in plan.models for rank in ranks]


def measure(bench: Bench, case: Case) -> Mapping[str, Any]:
    """``build_s`` with no weight touched, ``seconds`` from an adapter's folder to its place in the model, ``bytes``."""
    try:
        from peft import PeftModel
        from safetensors.torch import save_file
        from transformers import AutoModelForCausalLM
    except ImportError as error:
        return {"skipped": f"no {error.name} here"}
    shape, rank = load_shape(case["model"]), case["rank"]
    needed = 2 * shape.params * bench.dtype.itemsize
    if needed > bench.free_bytes():
        return {"skipped": f"{needed} bytes do not fit"}
    config = llama_config(shape)
    weights = _weights(bench, AutoModelForCausalLM, config)

    def build() -> Any:
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
        model.load_state_dict(weights, assign=True)
        model.model.rotary_emb = type(model.model.rotary_emb)(config=config).to(bench.device)
        return model.eval()

    with tempfile.TemporaryDirectory() as folder:
        save_file(adapter_tensors(shape, rank, bench.dtype), Path(folder, "adapter_model.safetensors"))
        settings = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": rank, "lora_alpha": 2 * rank}
        settings |= {"target_modules": sorted(shape.projections), "inference_mode": True}
        Path(folder, "adapter_config.json").write_text(json.dumps(settings), encoding="utf-8")
        size = Path(folder, "adapter_model.safetensors").stat().st_size
        built = [_timed(bench, build) for _ in range(SAMPLES)]
        loaded = [
            _timed(bench, lambda: PeftModel.from_pretrained(build(), folder, **AS_SERVED)) for _ in range(SAMPLES)
        ]
    typical = sorted(built)[SAMPLES // 2]
    return {"build_s": built, "seconds": [max(0.0, sample - typical) for sample in loaded], "bytes": size}


def llama_config(shape: Shape, layers: int | None = None) -> Any:
    """Transformers' configuration of the shape."""
    from transformers import LlamaConfig

    return LlamaConfig(
        num_hidden_layers=layers or shape.layers,
        hidden_size=shape.hidden,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        intermediate_size=shape.intermediate,
        vocab_size=shape.vocab,
        max_position_embeddings=4096,
        tie_word_embeddings=False,
    )


def _weights(bench: Bench, model_class: Any, config: Any) -> dict[str, torch.Tensor]:
    """Tensors of the model on the device, of whatever value."""
    with torch.device("meta"):
        skeleton = model_class.from_config(config)
    names = skeleton.state_dict().items()
    return {name: torch.empty(meta.shape, dtype=bench.dtype, device=bench.device) for name, meta in names}


def _timed(bench: Bench, call: Callable[[], Any]) -> float:
    bench.sync()
    began = time.perf_counter()
    call()
    bench.sync()
    return time.perf_counter() - began
