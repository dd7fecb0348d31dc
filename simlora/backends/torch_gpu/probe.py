"""``python -m simlora.backends.torch_gpu.probe DEVICE``: what torch says of it, and whether processes share on it.

Prints one line of JSON.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import torch
import torch.multiprocessing as mp

ELEMENTS, LIMIT_S = 1024, 120


def describe(device: str) -> dict[str, Any]:
    """Versions, memory in bytes, and the outcome of one tensor opened in a second process."""
    is_gpu = device == "cuda"
    found: dict[str, Any] = {"torch": torch.__version__, "cuda": torch.version.cuda}
    found["available"] = not is_gpu or torch.cuda.is_available()
    if is_gpu and found["available"]:
        free, total = torch.cuda.mem_get_info()
        found |= {"name": torch.cuda.get_device_name(), "free_bytes": free, "total_bytes": total}
    return found | (share(device) if found["available"] else {})


def share(device: str) -> dict[str, Any]:
    """``shared_s`` from the hand-over to the answer, or ``sharing_error``."""
    tensor = torch.ones(ELEMENTS, device=device)
    if device == "cpu":
        tensor.share_memory_()
    context = mp.get_context("spawn")
    ours, theirs = context.Pipe()
    reader = context.Process(target=_read, args=(theirs, device), daemon=True)
    reader.start()
    try:
        if not ours.poll(LIMIT_S) or ours.recv() != "ready":
            return {"sharing_error": "the second process did not start"}
        began = time.perf_counter()
        ours.send(tensor)
        answer = ours.recv() if ours.poll(LIMIT_S) else "nothing"
        shared_s = time.perf_counter() - began
    except (EOFError, RuntimeError, OSError) as error:
        return {"sharing_error": (str(error) or type(error).__name__).splitlines()[0]}
    finally:
        reader.join(1)
        reader.kill()
    if answer != float(ELEMENTS):
        return {"sharing_error": f"the second process said {answer}"}
    return {"shared_s": shared_s}


def _read(pipe: Any, device: str) -> None:
    torch.empty(1, device=device)
    pipe.send("ready")
    try:
        pipe.send(float(pipe.recv().sum().item()))
    except (RuntimeError, OSError) as error:
        pipe.send(str(error).splitlines()[0])


if __name__ == "__main__":
    print(json.dumps(describe(sys.argv[1])))
