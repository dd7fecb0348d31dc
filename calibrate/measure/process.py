"""The start of a process: the interpreter, the libraries, the device context and its bytes, the first kernels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from calibrate.measure import child
from calibrate.measure.bench import Bench
from calibrate.measure.plan import Case, Plan

SAMPLES = 5
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
        "import json, time, torch\n"
        "t = time.perf_counter(); torch.empty(1, device='cuda'); torch.cuda.synchronize()\n"
        "seconds = time.perf_counter() - t\n"
        "import os, sys; free = torch.cuda.mem_get_info()[0]\n"
        "print(json.dumps({'seconds': seconds, 'free_bytes': free}))"
    ),
    "first_product": (
        "import json, time, torch\n"
        "x = torch.randn(64, 4096, device='cuda', dtype=torch.float16); w = torch.randn(4096, 4096, device='cuda', "
        "dtype=torch.float16); torch.cuda.synchronize(); before = torch.cuda.mem_get_info()[0]\n"
        "t = time.perf_counter(); torch.nn.functional.linear(x, w); torch.cuda.synchronize()\n"
        "seconds = time.perf_counter() - t\n"
        "t = time.perf_counter(); torch.nn.functional.linear(x, w); torch.cuda.synchronize()\n"
        "print(json.dumps({'seconds': seconds, 'again_s': time.perf_counter() - t, "
        "'bytes': before - torch.cuda.mem_get_info()[0]}))"
    ),
}
NEED_GPU = ("context", "first_product")


def cases(plan: Plan) -> list[Case]:
    """Each step of a start, in fresh processes."""
    return [
        {"step": step, "sample": i} for step in SNIPPETS if plan.is_gpu or step not in NEED_GPU for i in _samples(plan)
    ]


def _samples(plan: Plan) -> range:
    return range(SAMPLES if plan.is_gpu else 1)


def measure(bench: Bench, case: Case) -> Mapping[str, Any]:
    """``seconds`` of the step inside the process, ``wall_s`` of the whole process; ``bytes`` of a context.

    The first sample of each step follows whatever was on the machine before: its files may be cold.
    """
    before = bench.free_bytes()
    said = child.run(SNIPPETS[case["step"]])
    if "error" in said:
        return {"skipped": said["error"]}
    if "free_bytes" in said:
        said["bytes"] = before - said.pop("free_bytes")
    said.setdefault("seconds", said["wall_s"])
    return said
