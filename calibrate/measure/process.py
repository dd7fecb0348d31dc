"""The start of a process: the interpreter, the libraries, the device context and its bytes, the first kernels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from calibrate.measure import child
from calibrate.measure.bench import Bench
from calibrate.measure.plan import Case, Plan

SNIPPETS = {
    "interpreter": "pass",
    "torch": (
        "import time; t = time.perf_counter(); import torch; print('{\"seconds\": %r}' % (time.perf_counter() - t))"
    ),
    "transformers": (
        "import torch, time; t = time.perf_counter(); from transformers import LlamaForCausalLM; import peft; "
        "print('{\"seconds\": %r}' % (time.perf_counter() - t))"
    ),
    "context": (
        "import json, time, torch; t = time.perf_counter(); torch.empty(1, device=DEVICE)\n"
        "if DEVICE != 'cpu': torch.cuda.synchronize()\n"
        "seconds = time.perf_counter() - t\n"
        "free = torch.cuda.mem_get_info()[0] if DEVICE != 'cpu' else None\n"
        "print(json.dumps({'seconds': seconds, 'free_bytes': free}))"
    ),
    "first_product": (
        "import json, time, torch\n"
        "free = lambda: torch.cuda.mem_get_info()[0] if DEVICE != 'cpu' else 0\n"
        "sync = torch.cuda.synchronize if DEVICE != 'cpu' else lambda: None\n"
        "dtype = torch.float16 if DEVICE != 'cpu' else torch.float32\n"
        "x, w = (torch.randn(n, 4096, device=DEVICE, dtype=dtype) for n in (16, 4096)); sync(); before = free()\n"
        "t = time.perf_counter(); torch.nn.functional.linear(x, w); sync(); seconds = time.perf_counter() - t\n"
        "t = time.perf_counter(); torch.nn.functional.linear(x, w); sync()\n"
        "print(json.dumps({'seconds': seconds, 'again_s': time.perf_counter() - t, 'bytes': before - free()}))"
    ),
}


def cases(plan: Plan) -> list[Case]:
    """Each step of a start, in fresh processes."""
    return [{"step": step, "sample": i} for step in SNIPPETS for i in _samples(plan)]


def _samples(plan: Plan) -> range:
    return range(plan.some((3,), (5,), (1,))[0])


def measure(bench: Bench, case: Case) -> Mapping[str, Any]:
    """``seconds`` of the step inside the process, ``wall_s`` of the whole process; ``bytes`` of a context.

    The first sample of each step follows whatever was on the machine before: its files may be cold.
    """
    before = bench.free_bytes()
    said = child.run(f"DEVICE = {str(bench.device)!r}\n{SNIPPETS[case['step']]}")
    if "error" in said:
        return {"skipped": said["error"]}
    if "free_bytes" in said:
        free = said.pop("free_bytes")
        said["bytes"] = before - free if free is not None else 0
    said.setdefault("seconds", said["wall_s"])
    return said
