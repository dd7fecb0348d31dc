"""Whole cold starts on an otherwise idle machine, stage by stage, by the processes that real runs use.

A function with weights of its own, from storage and from the page cache, and one that maps those of a process beside
it. Needs what real runs need; where that is missing the cases are left out and say so. So they are on a GPU without
``$SIMLORA_MODELS``, a folder that may keep gigabytes of weights; the tiny ones of a CPU are made anew for each case.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calibrate.measure.bench import Bench
from calibrate.measure.plan import Case, Plan
from calibrate.measure.storage import scratch

if TYPE_CHECKING:
    from simlora.backends.torch_gpu.process import Worker

LIMIT_S = 120.0
RANK = 16
MODELS = "SIMLORA_MODELS"


def cases(plan: Plan) -> list[Case]:
    """Of the smallest model: where the weights come from."""
    samples = range(3 if plan.full else 1)
    return [
        {"model": plan.smallest.name, "weights": weights, "sample": sample}
        for weights in ("storage", "page-cache", "shared")
        for sample in samples
    ]


def measure(bench: Bench, case: Case) -> Mapping[str, Any]:
    """Seconds of each stage, ``load_s`` of the ``bytes`` of weights; on a GPU the bytes of context and kernels."""
    try:
        from simlora.backends.torch_gpu.page_cache import out_of_cache
        from simlora.entities import Function
        from simlora.latency import load_backbone
        from simlora.validate.folders import prepare
    except ImportError as error:
        return {"skipped": f"no {error.name} here"}
    if bench.is_gpu and MODELS not in os.environ:
        return {"skipped": f"{MODELS} names no folder for the weights"}
    backbone = load_backbone(case["model"])
    function = Function(0, "start", backbone, RANK, ("q_proj", "v_proj"), 1.0)
    with _models() as folder, _workers(str(bench.device)) as start:
        models, adapters = prepare([function], folder)
        weights = {"folder": str(models[backbone])}
        adapter = {"name": function.id, "folder": str(adapters[function])}
        found: dict[str, Any] = {"bytes": backbone.weights_bytes, "adapter_bytes": function.adapter.bytes}
        holder = _holder(start, weights) if case["weights"] == "shared" else None
        if case["weights"] == "storage":
            out_of_cache(models[backbone])
        free = bench.free_bytes()
        began = time.perf_counter()
        worker = start()
        worker.ask("interpreter", LIMIT_S).result()
        found["container_s"] = time.perf_counter() - began
        found["library_s"], found["context_s"] = _asked(worker, "library"), _asked(worker, "context")
        found["context_bytes"] = free - _free(bench, worker, free)
        if holder is not None:
            began = time.perf_counter()
            handles = holder.ask("export", LIMIT_S).result()
            worker.ask("map", LIMIT_S, handles=handles, **weights).result()
            found["shared_s"] = time.perf_counter() - began
        else:
            found["load_s"] = _asked(worker, "load", cold=case["weights"] == "storage", **weights)
            found["build_s"] = _asked(worker, "build")
        found["adapter_s"] = _asked(worker, "adapter", **adapter)
        free = _free(bench, worker, free)
        found["kernels_s"] = _asked(worker, "kernels")
        found["kernels_bytes"] = free - _free(bench, worker, free)
        found["first_run_s"] = _asked(worker, "first_run")
    return found


@contextmanager
def _models() -> Iterator[Path]:
    if kept := os.environ.get(MODELS):
        yield Path(kept)
    else:
        with scratch() as folder:
            yield folder


@contextmanager
def _workers(device: str) -> Iterator[Any]:
    """A way to start processes; all of them are gone at the end."""
    from simlora.backends.torch_gpu.process import Worker

    started: list[Worker] = []

    def start() -> Worker:
        started.append(Worker(device, f"process {len(started)}"))
        return started[-1]

    try:
        yield start
    finally:
        for worker in started:
            worker.kill()


def _holder(start: Any, weights: Mapping[str, str]) -> Worker:
    holder: Worker = start()
    for stage in ("library", "context"):
        holder.ask(stage, LIMIT_S)
    holder.ask("load", LIMIT_S, cold=False, **weights).result()
    return holder


def _asked(worker: Worker, what: str, **how: Any) -> float:
    """Seconds until it is done."""
    began = time.perf_counter()
    worker.ask(what, LIMIT_S, **how).result()
    return time.perf_counter() - began


def _free(bench: Bench, worker: Worker, otherwise: int) -> int:
    """Device bytes that are free, as the process sees it."""
    return int(worker.ask("memory", LIMIT_S).result()["free"]) if bench.is_gpu else otherwise
