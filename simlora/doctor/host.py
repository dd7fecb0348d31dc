"""The host: versions, disk, memory, shared memory."""

from __future__ import annotations

import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from simlora.doctor.check import INSTALL, Check, State, judged

GB = 1e9
DISK_NEEDED_BYTES = 40e9
"""Weights of Llama-2-7B and 13B in 16 bit, as ``validate`` makes them, and raw results."""
HOST_NEEDED_BYTES = 32e9
"""One container's memory limit (assumption A15)."""
SHM_NEEDED_BYTES = 1e9
LIBRARIES = ("torch", "transformers", "peft", "safetensors")


def host_checks(folder: Path) -> list[Check]:
    """Checks that need no GPU; ``folder`` is where results and models would go."""
    return [*_versions(), _disk(folder), _memory(), _shared_memory(Path("/dev/shm"))]


def _versions() -> list[Check]:
    checks = [Check("python", State.OK, platform.python_version())]
    for name in LIBRARIES:
        found = _version(name)
        checks.append(judged(name, found != "", found or "not installed", INSTALL, "calibrate, validate: both use it"))
    return checks


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _disk(folder: Path) -> Check:
    there = next(path for path in (folder.resolve(), *folder.resolve().parents) if path.exists())
    free = shutil.disk_usage(there).free
    found = f"{free / GB:.0f} GB free at {there}"
    cure = f"free {DISK_NEEDED_BYTES / GB:.0f} GB, or name another --out"
    return judged("disk", free >= DISK_NEEDED_BYTES, found, cure, "models of 7B and larger made by validate")


def _memory() -> Check:
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    found = f"{free / GB:.0f} of {total / GB:.0f} GB free"
    return judged(
        "memory", total >= HOST_NEEDED_BYTES, found, "a larger machine", "host copies of models of 7B and larger"
    )


def _shared_memory(folder: Path) -> Check:
    name = str(folder)
    if not folder.is_dir():
        return Check(name, State.FAIL, "not there", "mount a tmpfs there", "weights shared between processes")
    free = shutil.disk_usage(folder).free
    cure = "a larger one: docker run --shm-size=8g, or mount -o remount,size=8g"
    return judged(
        name, free >= SHM_NEEDED_BYTES, f"{free / GB:.1f} GB free", cure, "weights shared between processes on a CPU"
    )
