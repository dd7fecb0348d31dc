"""``python -m calibrate.cold_starts``: published start-up times on other machines beside what is shipped.

vLLM V1 on H100 (GPULLMAdapterOptimization, Apache-2.0), checkpoint loads on H100 (ServerlessLLM, Apache-2.0), and the
start-up of Medusa's baseline (thustorage/Medusa, results-backup, Apache-2.0).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from calibrate.data import ending, public_data
from simlora.latency import load_backbone, load_engine, load_profile

BAR = 0.15
"""Relative difference within which a stage needs no explanation."""
GPU = "h100-sxm"
ENGINE, SLOTS = "vllm-0.8.5", 4
LLAMA, QWEN = "llama-3.1-8b-instruct", "qwen-2.5-7b-instruct"
QWEN_32B_BYTES = 65.5e9
"""Qwen3-32B in bfloat16."""
MEDUSA_WEIGHTS_S = {"llama-2-7b": 0.655, "llama-2-13b": 1.25}
MEDUSA_CONTEXT_S, MEDUSA_CAPTURE_S = 0.37, 1.46
"""Lazy initialisation of torch and the first tensor; profile of KV and capture of Llama-2-7B's graphs."""


class Start(NamedTuple):
    """A stage: published seconds, of how many starts they are the median, shipped seconds.

    ``fitted``: the shipped figure was taken from these starts; ``why``: what explains a difference beyond the bar.
    """

    what: str
    measured_s: float
    starts: int
    shipped_s: float
    fitted: bool
    why: str = ""

    @property
    def error(self) -> float:
        """shipped / published - 1."""
        return self.shipped_s / self.measured_s - 1


def cold_starts(calibration: Path) -> list[Start]:
    """All comparisons; ``calibration`` is the folder of public tables."""
    phases = pd.read_csv(calibration / "lora_dt" / "vllm_startup_phases.csv")
    loads = pd.read_csv(calibration / "serverlessllm" / "h100_random_load_times.csv")
    return [*_vllm(phases[phases.vllm.notna()]), *_loads(loads), *_medusa()]


def capture_s(phases: pd.DataFrame, model: str, slots: int) -> float:
    """From compiled to ready: profile, warm-up and capture, on the line through starts with 1 and with 8 slots."""
    own = phases[(phases.model == model) & phases.enable_lora & phases.max_loras.isin((1, 8))]
    seconds = (own.init_engine_s - own.torch_compile_total_s).groupby(own.max_loras).median()
    return float(np.interp(slots, seconds.index.to_numpy(dtype=float), seconds.to_numpy(dtype=float)))


def _vllm(phases: pd.DataFrame) -> Iterator[Start]:
    stages = {stage.name: stage.seconds for stage in load_engine(ENGINE).stage}
    process_s = stages["container"] + stages["library"] + stages["context"]
    before = phases.process_log_start_to_server_ready_s - phases.model_load_s - phases.init_engine_s
    adapted = phases[phases.enable_lora]
    llama = adapted[adapted.model == LLAMA]
    few = int(((llama.max_loras == 1) | (llama.max_loras == 8)).sum())
    yield Start("vLLM: process, imports, context", float(before.median()), before.count(), process_s, True)
    compile_s = float(llama.torch_compile_total_s.median())
    yield Start("vLLM: compilation, with LoRA", compile_s, len(llama), stages["compile"], True)
    found_s = capture_s(phases, LLAMA, SLOTS)
    yield Start(f"vLLM: profile, warm-up, capture, {SLOTS} slots", found_s, few, stages["capture"], True)

    whole_s = process_s + stages["compile"] + stages["capture"]
    of_qwen = adapted[adapted.model == QWEN]
    there = phases.model == QWEN
    qwen_s = float(before[there].median() + of_qwen.torch_compile_total_s.median()) + capture_s(phases, QWEN, SLOTS)
    yield Start("vLLM: all but weights, Qwen2.5-7B", qwen_s, len(of_qwen), whole_s, False)
    bare = phases[~phases.enable_lora.astype(bool) & (phases.model == LLAMA)]
    bare_s = float((bare.process_log_start_to_server_ready_s - bare.model_load_s).median())
    why = "no adapters: less is compiled, and half as long captured; the profile is of an engine that serves adapters"
    yield Start("vLLM: all but weights, without LoRA", bare_s, len(bare), whole_s, False, why)
    weights_s = _load_s(load_backbone("llama-3.1-8b").weights_bytes, "safetensors")
    read = phases[phases.model == LLAMA].weights_load_s
    why = "a parallel file system that others use (5 to 46 s), which is no property of the engine"
    yield Start("vLLM: weights, Llama-3.1-8B", float(read.median()), read.count(), weights_s, False, why)


def _loads(loads: pd.DataFrame) -> Iterator[Start]:
    sizes = {
        "meta-llama_Llama-3.1-8B-Instruct": load_backbone("llama-3.1-8b").weights_bytes,
        "Qwen_Qwen3-32B": QWEN_32B_BYTES,
    }
    for model, size_bytes in sizes.items():
        for loader in ("sllm", "safetensors"):
            seconds = loads[(loads.model == model) & (loads.loader == loader)].loading_time_s
            what = f"ServerlessLLM's benchmark: {model.partition('_')[2]}, {loader}"
            fitted = size_bytes != QWEN_32B_BYTES
            yield Start(what, float(seconds.median()), len(seconds), _load_s(size_bytes, loader), fitted)


def _medusa() -> Iterator[Start]:
    for name, seconds in MEDUSA_WEIGHTS_S.items():
        shipped_s = _load_s(load_backbone(name).weights_bytes, "sllm")
        yield Start(f"Medusa: weights of {name}, direct reads", seconds, 1, shipped_s, False)
    context = next(stage for stage in load_engine("hf-eager").stage if stage.name == "context")
    yield Start("Medusa: device context", MEDUSA_CONTEXT_S, 1, context.seconds, True)
    capture = next(stage for stage in load_engine(ENGINE).stage if stage.name == "capture")
    why = "vLLM before V1, 35 graphs and no adapters; the shipped figure is of 67 graphs with adapters"
    yield Start("Medusa: KV profile and capture", MEDUSA_CAPTURE_S, 1, capture.seconds, False, why)


def _load_s(size_bytes: float, loader: str) -> float:
    return load_profile(GPU, ENGINE).load_s(int(size_bytes), ("ssd", "device"), loader)


def main() -> None:
    """Print them."""
    for start in cold_starts(public_data("calibration")):
        said = f"published {start.measured_s:.3f} s ({start.starts}), shipped {start.shipped_s:.3f} s"
        print(f"{start.what}: {said}, {start.error:+.1%}{'' if start.fitted else ', held out'} {start.why}")


if __name__ == "__main__":
    sys.exit(ending(main))
