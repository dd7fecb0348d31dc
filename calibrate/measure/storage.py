"""Files: into host memory from the device that stores them and from the page cache; safetensors and adapters onward.

Files are written under ``$SIMLORA_SCRATCH``, or a folder of the system's temporary files, and removed.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from calibrate.measure.bench import Bench
from calibrate.measure.plan import Case, Plan
from calibrate.measure.shapes import Shape, load_shape

MIB = 2**20
SAMPLES = 5
READ_BYTES = 8 * MIB


def cases(plan: Plan) -> list[Case]:
    """Plain files by size, a checkpoint shard, and adapters by rank; each cold and from the page cache."""
    sizes = plan.some((64, 1024), (16, 64, 256, 1024, 4096), (4,))
    caches = ("cold", "page-cache")
    rows: list[Case] = [{"what": "file", "bytes": size * MIB, "cache": c} for size in sizes for c in caches]
    shard = plan.some((1024,), (1024, 4096), (4,))
    rows += [{"what": "safetensors", "bytes": size * MIB, "cache": c} for size in shard for c in caches]
    for model in plan.models:
        for rank in plan.ranks:
            rows += [{"what": "adapter", "model": model.name, "rank": rank, "cache": c} for c in caches]
    return rows


def measure(bench: Bench, case: Case) -> Mapping[str, Any]:
    """``seconds``: to host memory for a plain file, to the device otherwise, tensors in place."""
    if case["what"] == "file":
        with scratch() as folder:
            path = folder / "file"
            path.write_bytes(os.urandom(MIB) * (case["bytes"] // MIB))
            return {"seconds": _samples(path, case["cache"], lambda: _read(path)), "bytes": path.stat().st_size}
    try:
        from safetensors.torch import load_file, save_file
    except ImportError:
        return {"skipped": "no safetensors here"}
    with scratch() as folder:
        path = folder / "tensors.safetensors"
        save_file(_tensors(bench, case), path)

        def load() -> None:
            load_file(path, device=str(bench.device))
            bench.sync()

        return {"seconds": _samples(path, case["cache"], load), "bytes": path.stat().st_size}


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder of its own below ``$SIMLORA_SCRATCH``, removed with all that is in it."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("SIMLORA_SCRATCH")) as folder:
        yield Path(folder)


def _samples(path: Path, cache: str, load: Callable[[], None]) -> list[float]:
    samples = []
    for _ in range(SAMPLES):
        if cache == "cold":
            _out_of_cache(path)
        else:
            _read(path)
        began = time.perf_counter()
        load()
        samples.append(time.perf_counter() - began)
    return samples


def _out_of_cache(path: Path) -> None:
    """Ask the kernel to drop the file's pages; where it does not, "cold" samples look like cached ones."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(handle)


def _read(path: Path) -> None:
    buffer = bytearray(READ_BYTES)
    with open(path, "rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def _tensors(bench: Bench, case: Case) -> dict[str, torch.Tensor]:
    dtype = bench.dtype
    if case["what"] == "safetensors":
        return {"weight": torch.randn(case["bytes"] // dtype.itemsize // 1024, 1024).to(dtype)}
    return adapter_tensors(load_shape(case["model"]), case["rank"], dtype)


def adapter_tensors(shape: Shape, rank: int, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """The A and B of every projection of every layer, as PEFT names them."""
    prefix = "base_model.model.model.layers"
    found: dict[str, torch.Tensor] = {}
    for layer in range(shape.layers):
        for name, (d_in, d_out) in shape.projections.items():
            block = "self_attn" if name in ("q_proj", "k_proj", "v_proj", "o_proj") else "mlp"
            where = f"{prefix}.{layer}.{block}.{name}"
            found[f"{where}.lora_A.weight"] = torch.randn(rank, d_in).to(dtype)
            found[f"{where}.lora_B.weight"] = torch.randn(d_out, rank).to(dtype)
    return found
