"""The machine that was measured: card, driver, clocks as found, versions, host."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from datetime import UTC, datetime
from typing import Any

import torch

SMI = "nvidia-smi"
FIELDS = (
    "name",
    "driver_version",
    "memory.total",
    "clocks.sm",
    "clocks.mem",
    "clocks.max.sm",
    "power.limit",
    "pcie.link.gen.current",
    "pcie.link.width.current",
    "mig.mode.current",
    "compute_mode",
    "ecc.mode.current",
)


def describe(device: torch.device) -> dict[str, Any]:
    """Everything a reader needs to judge the figures; fields that cannot be read are left out."""
    found: dict[str, Any] = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "host_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "kernel": platform.release(),
        "device": str(device),
    }
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        found |= {
            "gpu": properties.name,
            "device_bytes": properties.total_memory,
            "multiprocessors": properties.multi_processor_count,
            "cuda": torch.version.cuda,
            "smi": smi(),
        }
    return found


def smi() -> dict[str, str]:
    """What the driver says of the card now: clocks, limits, link."""
    if shutil.which(SMI) is None:
        return {}
    query = [SMI, f"--query-gpu={','.join(FIELDS)}", "--format=csv,noheader"]
    if visible := os.environ.get("CUDA_VISIBLE_DEVICES", "").partition(",")[0]:
        query += ["-i", visible]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=30, check=True)
    except (subprocess.SubprocessError, OSError):
        return {}
    return dict(zip(FIELDS, (part.strip() for part in done.stdout.splitlines()[0].split(",")), strict=False))


def _cpu() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        return next(
            (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine()
        )
