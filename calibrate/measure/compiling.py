"""Compilation: a Triton kernel and ``torch.compile`` of a layer, cold and cached; capture of a CUDA graph."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from typing import Any

from calibrate.measure import child
from calibrate.measure.bench import Bench
from calibrate.measure.plan import Case, Plan

PRELUDE = """
import json, time, torch
from calibrate.measure.bench import Bench
from calibrate.measure.block import Layer
from calibrate.measure.shapes import load_shape
bench = Bench(torch.device({device!r}), 0.1)
layer = Layer(bench, load_shape({model!r}), 1, 256)
x = bench.random(1, 128, layer.shape.hidden)
def timed(call):
    bench.sync(); began = time.perf_counter(); call(); bench.sync()
    return time.perf_counter() - began
"""
SNIPPETS = {
    "torch_compile": PRELUDE
    + """
compiled = torch.compile(lambda x: layer(x, 0))
with torch.inference_mode():
    print(json.dumps({{"seconds": timed(lambda: compiled(x)), "again_s": timed(lambda: compiled(x))}}))
""",
    "graph_capture": PRELUDE
    + """
with torch.inference_mode():
    layer(x, 0); bench.sync(); graph = torch.cuda.CUDAGraph()
    def capture():
        with torch.cuda.graph(graph):
            layer(x, 0)
    before = torch.cuda.mem_get_info()[0]
    print(json.dumps({{"seconds": timed(capture), "again_s": timed(graph.replay),
                      "bytes": before - torch.cuda.mem_get_info()[0]}}))
""",
    "triton": """
import json
from calibrate.measure.triton_kernel import first_call_s
print(json.dumps(first_call_s()))
""",
}
NEED_GPU = ("graph_capture", "triton")


def cases(plan: Plan) -> list[Case]:
    """Each kind; what has a cache first cold, then from it."""
    kinds = [kind for kind in SNIPPETS if plan.is_gpu or kind not in NEED_GPU]
    model = plan.smallest.name
    return [
        {"kind": kind, "model": model, "samples": ["cold"] if kind == "graph_capture" else ["cold", "cached"]}
        for kind in kinds
    ]


def measure(bench: Bench, case: Case) -> Mapping[str, Any]:
    """By sample: ``seconds`` of the first call, ``again_s`` of the second; each in a fresh process."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as cache:
        env = {"TRITON_CACHE_DIR": f"{cache}/triton", "TORCHINDUCTOR_CACHE_DIR": f"{cache}/inductor"}
        code = SNIPPETS[case["kind"]].format(device=str(bench.device), model=case["model"])
        for sample in case["samples"]:
            said = child.run(code, env)
            if "error" in said:
                return {"skipped": said["error"]}
            found[sample] = said
    return found
