"""Bytes between host and device, pinned and pageable, each way; and from the device to itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from calibrate.measure.bench import Bench
from calibrate.measure.plan import Case, Plan

KIB, MIB = 2**10, 2**20


def cases(plan: Plan) -> list[Case]:
    """By way, kind of host memory and size."""
    sizes = plan.some(
        (64 * KIB, MIB, 16 * MIB, 256 * MIB, 1024 * MIB),
        (4 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB, 16 * MIB, 64 * MIB, 256 * MIB, 1024 * MIB, 4096 * MIB),
        (MIB, 16 * MIB),
    )
    ways = [("to_device", "pinned"), ("to_device", "pageable"), ("to_host", "pinned"), ("to_host", "pageable")]
    if not plan.is_gpu:
        ways = [("to_device", "pageable")]
    ways.append(("on_device", "device"))
    return [{"way": way, "memory": memory, "bytes": size} for way, memory in ways for size in sizes]


def measure(bench: Bench, case: Case) -> Mapping[str, Any]:
    """``seconds``: on the host's clock until the last byte is there."""
    size, pinned = case["bytes"], case["memory"] == "pinned"
    device = torch.randint(256, (size,), dtype=torch.uint8, device=bench.device, generator=bench.rng)
    if case["way"] == "on_device":
        target = torch.empty_like(device)
        return {"seconds": bench.wall_s(lambda: target.copy_(device))}
    host = torch.randint(256, (size,), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    host = host.pin_memory() if pinned else host
    source, target = (host, device) if case["way"] == "to_device" else (device, host)
    return {"seconds": bench.wall_s(lambda: target.copy_(source, non_blocking=pinned))}
