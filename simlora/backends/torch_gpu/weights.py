"""Weights of a backbone: read from safetensors, exported tensor by tensor, mapped elsewhere without a copy."""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from transformers import AutoConfig, AutoModelForCausalLM

Tensors = dict[str, torch.Tensor]
STREAMS = 4
"""Threads that read, each with a pinned buffer and a stream of its own (assumption: loader streams)."""


def shards(folder: Path) -> list[Path]:
    """The safetensors files of a model folder; :class:`FileNotFoundError` if there are none."""
    found = sorted(folder.glob("*.safetensors"))
    if not found:
        raise FileNotFoundError(f"{folder}: no *.safetensors")
    return found


def load(folder: Path, device: torch.device) -> Tensors:
    """All tensors on the device: threads read, pin and copy side by side."""
    names = [(path, name) for path in shards(folder) for name in _names(path)]
    found: Tensors = {}
    with ThreadPoolExecutor(STREAMS) as pool:
        for part in pool.map(lambda i: dict(_copies(names[i::STREAMS], device)), range(STREAMS)):
            found |= part
    return found


def _names(path: Path) -> list[str]:
    with safe_open(path, framework="pt") as file:
        return list(file.keys())


def _copies(names: list[tuple[Path, str]], device: torch.device) -> Iterator[tuple[str, torch.Tensor]]:
    stream = torch.cuda.Stream(device) if device.type == "cuda" else None
    for path, name in names:
        with safe_open(path, framework="pt") as file:
            tensor = file.get_tensor(name)
        if stream is None:
            yield name, tensor
            continue
        with torch.cuda.stream(stream):
            yield name, tensor.pin_memory().to(device, non_blocking=True)
    if stream is not None:
        stream.synchronize()


def export(tensors: Tensors) -> bytes:
    """Handles of the tensors for one other process: CUDA IPC on a GPU, shared memory on a CPU."""
    buffer = io.BytesIO()
    ForkingPickler(buffer, pickle.HIGHEST_PROTOCOL).dump(tensors)
    return buffer.getvalue()


def mapped(handles: bytes) -> Tensors:
    """The tensors behind handles of :func:`export`: they come from this program's own process, not from a file."""
    tensors: Tensors = pickle.loads(handles)
    return tensors


def build(folder: Path, tensors: Tensors, device: torch.device) -> Any:
    """The model of the folder's ``config.json`` around tensors that exist already: nothing is copied."""
    config = AutoConfig.from_pretrained(folder)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    model.load_state_dict(tensors, assign=True)
    # What is computed from the configuration is not among the weights.
    model.model.rotary_emb = type(model.model.rotary_emb)(config=config).to(device)
    model.tie_weights()
    return model.eval().requires_grad_(False)


def checksum(tensors: Tensors) -> int:
    """A number that changes with any byte of the tensors."""
    total = 0
    for name in sorted(tensors):
        words = tensors[name].contiguous().view(torch.uint8).to(torch.int64)
        places = torch.arange(1, words.numel() + 1, device=words.device) % 65_521
        total = (total * 31 + int((words.flatten() * places).sum())) % (1 << 61)
    return total
