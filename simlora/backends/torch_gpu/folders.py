"""Model and adapter folders of true shape and random weights, as Hugging Face and PEFT lay them out."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from safetensors.torch import save_file

from simlora.entities import Backbone, Function

SHARD_BYTES = 1_000_000_000
WRITERS, SEEDS_APART = 4, 10_007
DTYPES = {2: torch.float16, 4: torch.float32}
SPREAD = 0.02
"""Standard deviation of the weights: as Llama's are initialised, so that nothing overflows."""


def make_model(backbone: Backbone, folder: Path, seed: int = 0) -> Path:
    """``config.json`` and sharded safetensors of random weights; a folder that is complete is left as it is."""
    done = folder / "model.safetensors.index.json"
    if done.is_file():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    dtype = DTYPES[backbone.param_bytes]
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "num_hidden_layers": backbone.layers,
        "hidden_size": backbone.hidden,
        "num_attention_heads": backbone.heads,
        "num_key_value_heads": backbone.kv_heads,
        "head_dim": backbone.head_dim,
        "intermediate_size": backbone.intermediate,
        "vocab_size": backbone.vocab,
        "max_position_embeddings": 4096,
        "tie_word_embeddings": backbone.tied_embeddings,
        "torch_dtype": str(dtype).removeprefix("torch."),
    }
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    shards = list(_shards(backbone))
    with ThreadPoolExecutor(WRITERS) as pool:
        names = list(pool.map(lambda i: _write_shard(folder, i, shards[i], seed, dtype), range(len(shards))))
    where = {key: name for name, shapes in zip(names, shards, strict=True) for key in shapes}
    # So that a load from storage finds nothing that still has to be written.
    os.sync()
    index = {"metadata": {"total_size": backbone.weights_bytes}, "weight_map": where}
    done.write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
    return folder


def _write_shard(folder: Path, number: int, shapes: dict[str, tuple[int, ...]], seed: int, dtype: torch.dtype) -> str:
    """The file's name; numbers of a shard depend on the seed and on which one it is."""
    rng, name = torch.Generator().manual_seed(seed * SEEDS_APART + number), f"model-{number:05d}.safetensors"
    save_file({key: _random(shape, rng).to(dtype) for key, shape in shapes.items()}, folder / name, {"format": "pt"})
    return name


def _random(shape: tuple[int, ...], rng: torch.Generator) -> torch.Tensor:
    """Norms are near one, everything else near zero."""
    noise = torch.randn(shape, generator=rng) * SPREAD
    return noise + 1 if len(shape) == 1 else noise


def _shards(backbone: Backbone) -> Iterator[dict[str, tuple[int, ...]]]:
    """Names and shapes of the tensors, a shard at a time."""
    shard: dict[str, tuple[int, ...]] = {}
    held_bytes = 0
    for name, shape in _tensors(backbone):
        shard[name] = shape
        held_bytes += torch.Size(shape).numel() * backbone.param_bytes
        if held_bytes >= SHARD_BYTES:
            yield shard
            shard, held_bytes = {}, 0
    if shard:
        yield shard


def _tensors(backbone: Backbone) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield "model.embed_tokens.weight", (backbone.vocab, backbone.hidden)
    for layer in range(backbone.layers):
        prefix = f"model.layers.{layer}"
        for name, (d_in, d_out) in backbone.projections().items():
            yield f"{prefix}.{_block(name)}.{name}.weight", (d_out, d_in)
        yield f"{prefix}.input_layernorm.weight", (backbone.hidden,)
        yield f"{prefix}.post_attention_layernorm.weight", (backbone.hidden,)
    yield "model.norm.weight", (backbone.hidden,)
    if not backbone.tied_embeddings:
        yield "lm_head.weight", (backbone.vocab, backbone.hidden)


def _block(projection: str) -> str:
    return "self_attn" if projection in ("q_proj", "k_proj", "v_proj", "o_proj") else "mlp"


def make_adapter(function: Function, folder: Path) -> Path:
    """``adapter_config.json`` and safetensors of a function's adapter; no two functions' are alike."""
    done = folder / "adapter_config.json"
    if done.is_file():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    backbone, rng = function.backbone, torch.Generator().manual_seed(1 + function.index)
    tensors: dict[str, torch.Tensor] = {}
    for layer in range(backbone.layers):
        for name in function.target_modules:
            d_in, d_out = backbone.projections()[name]
            where = f"base_model.model.model.layers.{layer}.{_block(name)}.{name}"
            dtype = DTYPES[backbone.param_bytes]
            tensors[f"{where}.lora_A.weight"] = _random((function.rank, d_in), rng).to(dtype)
            tensors[f"{where}.lora_B.weight"] = _random((d_out, function.rank), rng).to(dtype)
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": backbone.name,
        "r": function.rank,
        "lora_alpha": 2 * function.rank,
        "target_modules": list(function.target_modules),
        "bias": "none",
        "inference_mode": True,
    }
    done.write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    return folder
