"""The GPU: driver, torch's view, free memory, who else is on it, MIG and MPS, weights shared between processes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simlora.backends.torch_gpu.process import environment
from simlora.doctor.check import INSTALL, Check, State, judged

SMI = "nvidia-smi"
GB = 1e9
LIMIT_S = 180
MPS_PIPES = Path("/tmp/nvidia-mps")
DEVICE_NEEDED_BYTES = 20e9
"""Llama-2-7B in 16 bit, a context and some KV."""
SHARING = "weights shared between processes: systems with sharing = ipc, the ipc part of calibrate"


def device_checks(device: str) -> list[Check]:
    """Checks of torch's ``device``, cuda or cpu, a real second process that maps a tensor of the first included."""
    probed = _probe(device)
    checks = [] if device == "cpu" else [*_driver_checks(), *torch_checks(probed)]
    return [*checks, sharing_check(probed, device)]


def _probe(device: str) -> Mapping[str, Any]:
    """What torch says, in a process of its own."""
    command = [sys.executable, "-m", "simlora.backends.torch_gpu.probe", device]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False, env=environment())
    except subprocess.TimeoutExpired:
        return {"error": f"no answer within {LIMIT_S} s"}
    if done.returncode:
        return {"error": (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]}
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _driver_checks() -> list[Check]:
    cards = _smi("--query-gpu=name,driver_version,mig.mode.current,compute_mode")
    if cards is None:
        return [Check("driver", State.FAIL, f"no {SMI}", "install NVIDIA's driver", "everything on a GPU")]
    processes = _smi("--query-compute-apps=pid,used_memory")
    return [*card_checks(cards), *process_checks(processes or []), mps_check(MPS_PIPES)]


def _smi(query: str) -> list[list[str]] | None:
    """Rows of what the driver answers; none where it can't be asked."""
    if shutil.which(SMI) is None:
        return None
    command = [SMI, query, "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=True)
    except (subprocess.SubprocessError, OSError):
        return None
    return [[cell.strip() for cell in line.split(",")] for line in done.stdout.splitlines() if line.strip()]


def card_checks(cards: list[list[str]]) -> list[Check]:
    """``cards``: name, driver version, MIG mode and compute mode of each."""
    checks = []
    for name, driver, mig, mode in cards:
        checks.append(Check("driver", State.OK, f"{name}, driver {driver}"))
        cure = "nvidia-smi -mig 0, by who runs the machine"
        checks.append(judged("MIG", mig != "Enabled", mig, cure, "figures of the whole card: a slice is measured"))
        cure = "nvidia-smi -c DEFAULT, by who runs the machine"
        shared = mode not in ("Exclusive_Process", "Prohibited")
        checks.append(judged("compute mode", shared, mode, cure, "several processes on the card", State.FAIL))
    return checks


def process_checks(processes: list[list[str]]) -> list[Check]:
    """``processes``: process id and bytes of each other process that computes."""
    cure = "wait, or end them"
    found = f"{len(processes)} compute here" if processes else "none"
    others = judged("other processes", not processes, found, cure, "timings one can trust")
    hidden = [memory for _, memory in processes if not memory.split()[0].isdigit()]
    said = "not seen while no process computes" if not processes else hidden[0] if hidden else "readable"
    cure = "run where the driver sees host process ids (not in a container)"
    return [others, judged("memory per process", not hidden, said, cure, "bytes of a context, of MPS clients")]


def mps_check(pipes: Path) -> Check:
    """MPS runs where its daemon has its pipes."""
    found = f"on: {pipes} is there" if pipes.exists() else "off"
    cure = "echo quit | nvidia-cuda-mps-control"
    return judged("MPS", not pipes.exists(), found, cure, "contention under time slicing")


def torch_checks(probed: Mapping[str, Any]) -> list[Check]:
    """What torch says of the device."""
    if "error" in probed:
        return [Check("torch and CUDA", State.FAIL, probed["error"], INSTALL, "everything on a GPU")]
    if not probed["available"]:
        cure = "a build of torch for this driver's CUDA"
        return [Check("torch and CUDA", State.FAIL, f"torch {probed['torch']} sees none", cure, "everything on a GPU")]
    found = f"torch {probed['torch']}, CUDA {probed['cuda']}, {probed['name']}"
    free, total = probed["free_bytes"], probed["total_bytes"]
    memory = f"{free / GB:.1f} of {total / GB:.1f} GB free"
    cure = "end what holds it"
    return [
        Check("torch and CUDA", State.OK, found),
        judged("device memory", free >= DEVICE_NEEDED_BYTES, memory, cure, "models of 7B and larger"),
    ]


def sharing_check(probed: Mapping[str, Any], device: str) -> Check:
    """A tensor of one process, opened and read in a second."""
    name = "CUDA IPC" if device == "cuda" else "shared memory"
    if "error" in probed:
        return Check(name, State.FAIL, probed["error"], INSTALL, SHARING)
    fault = probed.get("sharing_error") if probed["available"] else "not tried: torch sees no device"
    cure = "a container with --ipc=host and the PID namespace of its peers"
    found = fault or f"a second process read it in {probed['shared_s'] * 1e3:.0f} ms"
    return judged(name, fault is None, found, cure, SHARING, State.FAIL)
