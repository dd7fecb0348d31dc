"""``python -m calibrate.measured FOLDER PROFILE.toml``: a latency profile from what ``calibrate.measure`` left.

Coefficients with the machine, the date, the versions and the error on points held out of the fit; the raw samples stay
in the folder. Needs no GPU.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tomli_w

from calibrate.attention import fit_decode, fit_prefill
from calibrate.linear import fit_linear
from calibrate.lora import fit_lora
from calibrate.public_tables import rounded, stated
from calibrate.relative import Held, Points, fit
from simlora.errors import ConfigError
from simlora.latency.hardware import hardware, load_gpu

NEEDED = ("gemm", "attention", "transfers", "elementwise")
GPU_ELEMENT_BYTES, CPU_ELEMENT_BYTES = 2, 4


def read_part(folder: Path, part: str) -> pd.DataFrame:
    """One row a case: what distinguishes it, and its results, samples as their median; skipped cases are left out.

    Raises :class:`ConfigError` naming the file, if it is missing, holds something else or no measured case.
    """
    path = folder / f"{part}.jsonl"
    if not path.is_file():
        raise ConfigError(f"{path}: not there; python -m calibrate.measure --out {folder} --parts {part} makes it")
    found: list[dict[str, Any]] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            case = row.pop("case")
            if not case or not row:
                raise KeyError("a case or its results")
            if "skipped" not in row:
                found.append({**case, **{name: _median(value) for name, value in row.items()}})
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ConfigError(f"{path}, line {number}: not a measured case (found {line[:60]!r})") from None
    if not found:
        raise ConfigError(f"{path}: every case was skipped")
    return pd.DataFrame(found)


def _median(value: Any) -> Any:
    return float(np.median(value)) if isinstance(value, list) else value


def read_machine(folder: Path) -> dict[str, Any]:
    """What was measured; :class:`ConfigError` if the folder holds no measurements."""
    try:
        return dict(json.loads((folder / "machine.json").read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{folder / 'machine.json'}: {error}") from None


def fit_measured(folder: Path, name: str, gpu: str | None = None) -> tuple[dict[str, Any], dict[str, dict[str, Held]]]:
    """(a table for :class:`simlora.latency.kernels.KernelProfile`, the points held out of the fits of its parts).

    ``gpu``: the GPU of the hardware catalogue whose price counts; without it the one that the driver's name says.
    """
    machine = read_machine(folder)
    gemm, attention, transfers, elementwise = (read_part(folder, part) for part in NEEDED)
    ranks = sorted({int(rank) for rank in gemm.n if rank in set(gemm.k) and rank < gemm.k.max() // 8})
    whole = gemm[~gemm.n.isin(ranks) & ~gemm.k.isin(ranks)].reset_index(drop=True)
    attention["row_bytes"] = attention.head_dim * (
        GPU_ELEMENT_BYTES if machine["device"] == "cuda" else CPU_ELEMENT_BYTES
    )
    attention = attention.rename(
        columns={"num_heads": "heads", "num_key_value_heads": "kv_heads", "batch_size": "batch"}
    )
    prefill, decode = (attention[attention.phase == phase].reset_index(drop=True) for phase in ("prefill", "decode"))
    fits = {
        "linear": (fit_linear(whole), f"{_span(whole.m)} tokens; n {_span(whole.n)}, k {_span(whole.k)}"),
        "prefill_attention": (fit_prefill(prefill), f"{_span(prefill.tokens)} tokens a prompt"),
        "decode_attention": (fit_decode(decode, 0), f"contexts of {_span(decode.tokens)} tokens"),
        "lora": (fit_lora(gemm, ranks, int(whole.k.min())), f"one adapter, rank {ranks[0]} to {ranks[-1]}"),
        "elementwise": (fit_elementwise(elementwise), f"{_span(elementwise.bytes)} bytes moved"),
    }
    profile: dict[str, Any] = {
        "schema_version": 1,
        "name": name,
        "gpu": gpu or _catalogued(machine),
        "label": "measured",
        "source": source_of(machine),
        "valid": "the machine that was measured",
        "max_prefill_tokens": int(whole.m.max()),
        "max_batch": int(decode.batch.max()),
        "device": _device(machine, transfers, whole),
    }
    for part, ((coefficients, held), valid) in fits.items():
        head = {"label": "measured", "source": source_of(machine), "valid": valid}
        profile[part] = head | stated(held) | coefficients
    return profile, {part: held for part, ((_, held), _) in fits.items()}


def _catalogued(machine: dict[str, Any]) -> str:
    """The GPU of the catalogue that the driver's name says, or that name where there is none."""
    found = str(machine.get("gpu", machine["cpu"]))
    model = re.match(r"NVIDIA ([A-Z]+\d+[A-Z]*)", found)
    titled = [n for n, gpu in hardware().gpus.items() if model and f"{gpu.title} ".startswith(f"NVIDIA {model[1]} ")]
    return titled[0] if titled else found


def fit_elementwise(rows: pd.DataFrame) -> tuple[dict[str, Any], dict[str, Held]]:
    """Coefficients of :class:`simlora.latency.kernels.ElementwiseKernels`; the choice of a token is not among them."""
    moving = rows[rows.kind.isin(("norm", "rotary", "activation", "add"))]
    seconds, moved = moving.seconds.to_numpy(dtype=np.float64), moving.bytes.to_numpy(dtype=np.float64)
    basis = np.column_stack([np.ones_like(moved), moved])
    sizes = np.unique(moving.rows)
    launch, per_byte = fit(basis, seconds)
    table = {"launch_s": float(launch), "bytes_per_s": float(1 / per_byte)}
    points = Points(basis, seconds, moved, np.zeros_like(moved), moved)
    return table, {"rows": points.held_out(np.isin(moving.rows, sizes[1::2]))}


def _device(machine: dict[str, Any], transfers: pd.DataFrame, products: pd.DataFrame) -> dict[str, Any]:
    """The card: memory as reported, bandwidths of the largest transfers, arithmetic of the fastest product."""
    largest = transfers.sort_values("bytes").groupby(["way", "memory"]).last()
    rate = largest.bytes / largest.seconds
    memory = machine.get("device_bytes", machine["host_bytes"])
    to_device = next(rate["to_device", memory] for memory in ("pinned", "pageable") if ("to_device", memory) in rate)
    return {
        "title": machine.get("gpu", machine["cpu"]),
        "label": "measured",
        "source": source_of(machine),
        "valid": "the machine that was measured",
        "memory_bytes": memory,
        "usable_bytes": memory,
        "usable_source": source_of(machine),
        "hbm_bytes_per_s": float(2 * rate["on_device", "device"]),
        "flops_per_s": float((2 * products.m * products.n * products.k / products.seconds).max()),
        "pcie_bytes_per_s": float(to_device),
        "pcie_source": f"measured: largest transfer, {source_of(machine)}",
    }


def source_of(machine: dict[str, Any]) -> str:
    """The command, the machine, the date and the versions."""
    on = machine.get("gpu", machine["cpu"])
    driver = machine.get("smi", {}).get("driver_version")
    versions = f"torch {machine['torch']}" + (f", driver {driver}" if driver else "")
    return f"python -m calibrate.measure on {on}, {machine['date']}, {versions}"


def _span(values: pd.Series[Any]) -> str:
    return f"{int(values.min())} to {int(values.max())}"


def main() -> None:
    """Fit and write one profile, printing held-out errors."""
    parser = argparse.ArgumentParser(prog="python -m calibrate.measured", description=__doc__)
    parser.add_argument("folder", type=Path, help="what calibrate.measure wrote")
    parser.add_argument("profile", type=Path, help="the file to write; it is named after its profile")
    parser.add_argument("--gpu", help="GPU of the catalogue whose price counts (default: by the driver's name)")
    asked = parser.parse_args()
    try:
        if asked.gpu is not None:
            load_gpu(asked.gpu)
        profile, held_out = fit_measured(asked.folder, asked.profile.stem, asked.gpu)
    except ConfigError as error:
        parser.error(str(error))
    asked.profile.write_text(tomli_w.dumps(rounded(profile)), encoding="utf-8")
    for part, held in held_out.items():
        for what, points in held.items():
            print(f"{part}, held-out {what}: {points.error}")


if __name__ == "__main__":
    main()
