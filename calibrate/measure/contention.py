"""Isolated processes that compute on one GPU at once: how much slower each runs than alone.

Each process runs steps of a few layers in eager mode, so with the host's gaps between its kernels: ``decode`` and
``prefill``. ``gpu_share`` is the part of a lone step in which the GPU works. Time-sliced by the driver, and under MPS
where its control daemon is installed (started for these cases in a folder of its own, and ended).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
import torch.multiprocessing as mp

from calibrate.measure.bench import Bench
from calibrate.measure.block import Model, model_bytes
from calibrate.measure.plan import Case, Plan
from calibrate.measure.shapes import load_shape
from calibrate.measure.step import SPARE_BYTES, step_times

LAYERS = 8
STEPS = {"decode": (8, 1, 256), "prefill": (1, 512, 0)}
"""By kind: sequences, new tokens of each, tokens in KV."""
PERIOD_S, START_S = 2.0, 180.0
MPS = "nvidia-cuda-mps-control"


def cases(plan: Plan) -> list[Case]:
    """Some decoding, some prefilling, by number of processes; alone first."""
    counts = plan.some((1, 2, 4, 8), (1, 2, 3, 4, 6, 8), (1, 2))
    mixes = [(count, 0) for count in counts] + [(0, count) for count in counts] + [(1, 1), (3, 1)]
    if not plan.is_gpu:
        mixes = [(count, 0) for count in counts]
    modes = ("time-slice", "mps") if plan.is_gpu else ("time-slice",)
    model = plan.smallest.name
    return [
        {"mode": mode, "model": model, "decode": decode, "prefill": prefill}
        for mode in modes
        for decode, prefill in mixes
    ]


def measure(bench: Bench, case: Case) -> Mapping[str, Any]:
    """``seconds`` per step, a list for each process by kind, while all run; ``gpu_share`` and ``alone_s`` of each."""
    kinds = ["decode"] * case["decode"] + ["prefill"] * case["prefill"]
    shape = load_shape(case["model"])
    needed = len(kinds) * (model_bytes(bench, shape, 8, 512, min(LAYERS, shape.layers)) + SPARE_BYTES // 2)
    if bench.is_gpu and needed > bench.free_bytes():
        return {"skipped": f"{needed} bytes do not fit"}
    if case["mode"] != "mps":
        return _together(bench, case["model"], kinds)
    if shutil.which(MPS) is None:
        return {"skipped": f"no {MPS} here"}
    with _mps():
        return _together(bench, case["model"], kinds)


@contextmanager
def _mps() -> Iterator[None]:
    """A control daemon of our own; the card's settings stay as they are."""
    with tempfile.TemporaryDirectory() as folder:
        own = {"CUDA_MPS_PIPE_DIRECTORY": f"{folder}/pipe", "CUDA_MPS_LOG_DIRECTORY": f"{folder}/log"}
        for path in own.values():
            os.mkdir(path)
        os.environ.update(own)
        try:
            subprocess.run([MPS, "-d"], check=True, capture_output=True, timeout=30)
            yield
        finally:
            subprocess.run([MPS], input=b"quit\n", check=False, capture_output=True, timeout=30)
            for name in own:
                del os.environ[name]


def _together(bench: Bench, model: str, kinds: list[str]) -> Mapping[str, Any]:
    context = mp.get_context("spawn")
    start = context.Barrier(len(kinds))
    answers = context.Queue()
    workers = [
        context.Process(target=_work, args=(i, kind, model, str(bench.device), start, answers), daemon=True)
        for i, kind in enumerate(kinds)
    ]
    for worker in workers:
        worker.start()
    try:
        found = sorted((answers.get(timeout=START_S) for _ in workers), key=lambda answer: answer["process"])
    except Exception as error:
        return {"skipped": f"a process did not answer: {error!r}"}
    finally:
        for worker in workers:
            worker.join(5)
            if worker.is_alive():
                worker.kill()
    failed = next((answer["error"] for answer in found if "error" in answer), None)
    return {"skipped": failed} if failed else {"processes": found}


def _work(index: int, kind: str, model_name: str, device: str, start: Any, answers: Any) -> None:
    """Measure alone in turn, then run together with the others for a while."""
    try:
        bench = Bench(torch.device(device), 0.3)
        shape = load_shape(model_name)
        batch, new, past = STEPS[kind]
        model = Model(bench, shape, batch, past + new, 0, min(LAYERS, shape.layers))
        tokens = torch.randint(shape.vocab, (batch, new), device=bench.device, generator=bench.rng)

        def step() -> None:
            model(tokens, past)

        alone: Mapping[str, Any] = {}
        for turn in range(start.parties):
            start.wait(START_S)
            if turn == index:
                alone = step_times(bench, step)
        bench.sync()
        start.wait(START_S)
        samples: list[float] = []
        began = time.perf_counter()
        while time.perf_counter() - began < PERIOD_S:
            at = time.perf_counter()
            step()
            bench.sync()
            samples.append(time.perf_counter() - at)
        share = min(
            1.0,
            sorted(alone["device_s"])[len(alone["device_s"]) // 2]
            / sorted(alone["seconds"])[len(alone["seconds"]) // 2],
        )
        answers.put(
            {"process": index, "kind": kind, "seconds": samples, "alone_s": alone["seconds"], "gpu_share": share}
        )
    except Exception as error:
        answers.put({"process": index, "kind": kind, "error": f"{type(error).__name__}: {error}"})
        start.abort()
