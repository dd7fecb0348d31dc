"""``python -m calibrate.measured_engine FOLDER PROFILE.toml ENGINE.toml``: eager Transformers on the measured machine.

What its steps take on the host's clock beyond the kernels of the profile, and how long each stage of a start took; what
was not measured stays as the shipped ``hf-eager`` has it.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import tomli_w

from calibrate.measured import read_machine, read_part, source_of
from calibrate.public_tables import rounded
from calibrate.relative import Error, error, fit
from simlora.entities import PROJECTIONS, Backbone, Tier
from simlora.errors import ConfigError
from simlora.latency import load_backbone, load_engine, load_loader, load_profile
from simlora.latency.engines import EngineProfile, Stage

BASE = "hf-eager"
RANK = 16
TENSORS_PER_LAYER, TENSORS_BESIDE = 9, 3


def fit_engine(folder: Path, profile: Path, name: str) -> tuple[dict[str, Any], Error]:
    """(a table for :class:`simlora.latency.engines.EngineProfile`, error of whole decode steps on the same points)."""
    machine, base = read_machine(folder), load_engine(BASE)
    steps = read_part(folder, "transformers_step")
    steps = steps[steps["rank"] == RANK].reset_index(drop=True)
    kernels = np.array([_kernels_s(profile, row) for _, row in steps.iterrows()])
    host, layers = steps.seconds.to_numpy() - kernels, steps.layers.to_numpy(dtype=np.float64)
    decode = (steps.phase == "decode").to_numpy()
    step_s, layer_s = _host(host[decode], layers[decode])
    predicted = kernels + step_s + layer_s * layers
    left = np.median((steps.seconds.to_numpy() - predicted)[~decode])
    stated = error(predicted[decode], steps.seconds.to_numpy()[decode])
    valid = f"an adapter of rank {RANK} in use, batches of 1 to {int(steps.batch.max())}"
    head = {"label": "measured", "source": source_of(machine), "valid": valid}
    table: dict[str, Any] = {
        "schema_version": 1,
        "base": BASE,
        "name": name,
        "title": f"{base.title}, on {machine.get('gpu', machine['cpu'])}",
        "label": "measured",
        "source": source_of(machine),
        "valid": "the machine that was measured",
        "host": {**head, "error": str(stated), "step_s": step_s, "layer_s": layer_s, "sequence_s": 0.0},
        "prefill_host": {**head, "dispatch_s": max(0.0, float(left)), "request_s": 0.0},
        "stage": _stages(folder, machine, base, steps),
    }
    return table, stated


def _kernels_s(profile: Path, row: pd.Series[Any]) -> float:
    """Of the step, with as many layers as were measured, by the profile."""
    whole = load_backbone(row.model)
    part = replace(whole, name=f"{whole.name}, {row.layers} layers", layers=int(row.layers))
    return _step_s(profile, part, row.phase, int(row.batch), int(row.tokens))


def _step_s(profile: Path, backbone: Backbone, phase: str, batch: int, tokens: int) -> float:
    model = load_profile(str(profile), BASE).model(backbone, PROJECTIONS)
    host = model.host_s(batch, 1)
    if phase == "decode":
        return model.decode_step_s([tokens] * batch, [RANK]) - host
    return model.prefill_s([tokens] * batch, [RANK]) - host - model.prefill_host_s(batch)


def _host(seconds: np.ndarray[Any, np.dtype[np.float64]], layers: np.ndarray[Any, np.dtype[np.float64]]) -> list[float]:
    """[seconds per step, seconds per layer], neither negative: kernels that hide the host leave nothing to explain."""
    shown = np.maximum(seconds, 1e-9)
    return [float(c) for c in fit(np.column_stack([np.ones_like(layers), layers]), shown)]


def _stages(folder: Path, machine: dict[str, Any], base: EngineProfile, steps: pd.DataFrame) -> list[dict[str, Any]]:
    """The stages that were measured, each as the shipped engine has it but for its seconds and bytes."""
    try:
        found = _of_starts(read_part(folder, "cold_start"))
    except ConfigError:
        found = _of_pieces(folder, steps)
    moved = load_loader(base.adapter_loader).between(Tier.SSD, Tier.DEVICE)
    adapter_s = found.adapter_s - moved.fixed_s - found.adapter_bytes / moved.bytes_per_s
    seconds = {**found.seconds, "adapter": max(0.0, float(adapter_s.median()))}
    measured = [stage for stage in base.stage if stage.name in seconds or stage.shared_s is not None]
    return [_stage(stage, machine, seconds, found.device_bytes, found.shared_s) for stage in measured]


class _Starts(NamedTuple):
    """Seconds and bytes by stage, of mapping a shared backbone, and of adapters, each with its bytes."""

    seconds: dict[str, float]
    device_bytes: dict[str, int]
    shared_s: float
    adapter_s: pd.Series[float]
    adapter_bytes: pd.Series[float]


def _of_starts(starts: pd.DataFrame) -> _Starts:
    """Whole starts: what a process does for the first time is in its stages."""
    typical = starts.median(numeric_only=True)
    seconds = {
        name: float(typical[f"{name}_s"]) for name in ("container", "library", "context", "kernels", "first_run")
    }
    seconds["backbone"] = float(typical.build_s)
    device_bytes = {name: int(typical[f"{name}_bytes"]) for name in ("context", "kernels")}
    return _Starts(seconds, device_bytes, float(typical.shared_s), starts.adapter_s, starts.adapter_bytes)


def _of_pieces(folder: Path, steps: pd.DataFrame) -> _Starts:
    """Where there were none: each piece by itself."""
    process = read_part(folder, "process").groupby("step").median(numeric_only=True)
    shares, assembled = read_part(folder, "ipc"), read_part(folder, "assemble")
    built_s = float(assembled.build_s.max())
    seconds = {
        "container": process.wall_s["interpreter"],
        "library": process.seconds["torch"] + process.seconds.get("transformers", 0.0),
        "context": process.seconds["context"],
        "kernels": process.seconds["first_product"],
        "backbone": built_s,
        "first_run": max(0.0, float((steps.first_s - steps.seconds).iloc[0])),
    }
    device_bytes = {"context": int(process.bytes["context"]), "kernels": int(process.bytes["first_product"])}
    tensors = TENSORS_PER_LAYER * int(steps.layers.max()) + TENSORS_BESIDE
    nearest = shares.iloc[(shares.tensors - tensors).abs().argsort().iloc[0]]
    shared_s = built_s + float(nearest.map_s + nearest.export_s)
    return _Starts(seconds, device_bytes, shared_s, assembled.seconds, assembled.bytes)


def _stage(
    stage: Stage, machine: dict[str, Any], seconds: dict[str, float], bytes_of: dict[str, int], mapped_s: float
) -> dict[str, Any]:
    row = stage.model_dump(mode="json", exclude_none=True)
    row |= {"label": "measured", "source": source_of(machine), "valid": "the machine that was measured"}
    row["seconds"] = float(seconds.get(stage.name, stage.seconds))
    row["device_bytes"] = bytes_of.get(stage.name, stage.device_bytes)
    if stage.shared_s is not None:
        row["shared_s"] = mapped_s
    return row


def main() -> None:
    """Fit and write one engine profile."""
    parser = argparse.ArgumentParser(prog="python -m calibrate.measured_engine", description=__doc__)
    parser.add_argument("folder", type=Path, help="what calibrate.measure wrote")
    parser.add_argument("profile", type=Path, help="the kernels of the same machine, by calibrate.measured")
    parser.add_argument("engine", type=Path, help="the file to write; it is named after its profile")
    asked = parser.parse_args()
    try:
        table, stated = fit_engine(asked.folder, asked.profile, asked.engine.stem)
    except ConfigError as error_:
        parser.error(str(error_))
    asked.engine.write_text(tomli_w.dumps(rounded(table)), encoding="utf-8")
    print(f"whole decode steps: {stated}")


if __name__ == "__main__":
    main()
