"""One small Triton kernel, to see what compiling the first of a process takes. Needs triton and a GPU."""

from __future__ import annotations

import time

import torch
import triton
import triton.language as tl


@triton.jit
def _scale_and_add(x, y, out, n, block: tl.constexpr):  # type: ignore[no-untyped-def]
    at = tl.program_id(0) * block + tl.arange(0, block)
    inside = at < n
    tl.store(out + at, tl.load(x + at, mask=inside) * 2.0 + tl.load(y + at, mask=inside), mask=inside)


def first_call_s() -> dict[str, float]:
    """Seconds of the first and of the second call."""
    x = torch.randn(2**20, device="cuda")
    y, out = torch.randn_like(x), torch.empty_like(x)

    def call() -> float:
        torch.cuda.synchronize()
        began = time.perf_counter()
        _scale_and_add[(triton.cdiv(x.numel(), 1024),)](x, y, out, x.numel(), block=1024)
        torch.cuda.synchronize()
        return time.perf_counter() - began

    return {"seconds": call(), "again_s": call()}
