"""Sharing weights between processes: export of a handle for each tensor, mapping them all in a second process.

On a GPU the handles are CUDA IPC's; on a CPU they are shared memory. The reader has its context before the clock runs.
"""

from __future__ import annotations

import io
import pickle
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any

import torch
import torch.multiprocessing as mp

from calibrate.measure.bench import Bench
from calibrate.measure.plan import Case, Plan

LIMIT_S = 120


def cases(plan: Plan) -> list[Case]:
    """By number of tensors at one size of all together; and by size at one number."""
    counts = plan.some((1, 16, 64, 291), (1, 4, 16, 64, 128, 291, 363), (1, 16))
    total = 2**30 if plan.is_gpu else 2**22
    rows: list[Case] = [{"tensors": count, "bytes": total} for count in counts]
    return [*rows, {"tensors": counts[1], "bytes": total * 4}]


def measure(bench: Bench, case: Case) -> Mapping[str, Any]:
    """``export_s`` here, ``map_s`` there, ``mapped_bytes`` by which the reader's mapping made free memory shrink."""
    each = case["bytes"] // case["tensors"] // bench.dtype.itemsize
    tensors = [bench.random(each) for _ in range(case["tensors"])]
    if not bench.is_gpu:
        tensors = [tensor.share_memory_() for tensor in tensors]
    bench.sync()
    context = mp.get_context("spawn")
    ours, theirs = context.Pipe()
    reader = context.Process(target=_read, args=(theirs, str(bench.device)), daemon=True)
    reader.start()
    try:
        return _exchange(bench, tensors, ours)
    finally:
        reader.join(10)
        if reader.is_alive():
            reader.kill()


def _exchange(bench: Bench, tensors: list[torch.Tensor], ours: Connection) -> Mapping[str, Any]:
    if not ours.poll(LIMIT_S) or ours.recv_bytes() != b"ready":
        return {"skipped": "the reader did not start"}
    free = bench.free_bytes()
    began = time.perf_counter()
    buffer = io.BytesIO()
    ForkingPickler(buffer, pickle.HIGHEST_PROTOCOL).dump(tensors)
    exported_s = time.perf_counter() - began
    ours.send_bytes(buffer.getvalue())
    if not ours.poll(LIMIT_S):
        return {"skipped": f"not mapped after {LIMIT_S} s"}
    answer = ours.recv()
    if "error" not in answer:
        answer = {"export_s": [exported_s], "mapped_bytes": free - bench.free_bytes(), **answer}
        answer["same"] = answer.pop("sum") == float(sum(tensor[0].item() for tensor in tensors))
    else:
        answer = {"skipped": answer["error"]}
    ours.send_bytes(b"done")
    return answer


def _read(pipe: Connection, device: str) -> None:
    torch.empty(1, device=device)
    pipe.send_bytes(b"ready")
    payload = pipe.recv_bytes()
    try:
        began = time.perf_counter()
        tensors = pickle.loads(payload)
        mapped_s = time.perf_counter() - began
        pipe.send({"map_s": [mapped_s], "sum": float(sum(tensor[0].item() for tensor in tensors))})
    except RuntimeError as error:
        pipe.send({"error": str(error).splitlines()[0]})
    if pipe.poll(LIMIT_S):
        pipe.recv_bytes()
