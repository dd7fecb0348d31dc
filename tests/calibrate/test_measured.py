"""A profile fitted on measurements: it recovers what made them, says how far it is off, and refuses what is broken."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from calibrate.measured import fit_measured
from calibrate.measured_engine import fit_engine
from simlora.errors import ConfigError
from simlora.latency import load_backbone, load_engine, load_profile

LAUNCH_S, WEIGHT_S, PAIR_S, BYTE_S = 4e-6, 3e-12, 1e-12, 1.25e-12
MACHINE = {
    "gpu": "Card X",
    "cpu": "c",
    "device": "cuda",
    "date": "2026-01-01",
    "torch": "2",
    "device_bytes": 10**10,
    "host_bytes": 10**11,
}


def product_s(m: int, n: int, k: int) -> float:
    return LAUNCH_S + n * k * WEIGHT_S * max(1.0, m / 128)


def write(folder: Path, part: str, rows: list[tuple[dict[str, Any], float, dict[str, Any]]]) -> None:
    lines = [json.dumps({"case": case, "seconds": [s, s, 50 * s], **more}) for case, s, more in rows]
    (folder / f"{part}.jsonl").write_text("".join(f"{line}\n" for line in lines))


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    """Measurements without noise, but for one sample in three that is far off."""
    (tmp_path / "machine.json").write_text(json.dumps(MACHINE))
    shapes = [(n, k) for n in (4096, 8192, 11008) for k in (4096, 8192)]
    shapes += [pair for rank in (16, 32, 64) for pair in ((rank, 4096), (4096, rank))]
    products = [{"m": m, "n": n, "k": k} for n, k in shapes for m in (1, 16, 64, 96, 128, 256, 512, 1024)]
    write(tmp_path, "gemm", [(case, product_s(**case), {}) for case in products])
    heads = {"num_heads": 32, "num_key_value_heads": 8, "head_dim": 128}
    prompts = [{"phase": "prefill", **heads, "batch_size": 1, "tokens": t} for t in (64, 128, 256, 512, 1024)]
    contexts = [
        {"phase": "decode", **heads, "batch_size": b, "tokens": t} for b in (1, 8) for t in (64, 128, 256, 1024)
    ]
    attention = [(c, LAUNCH_S + 32 * c["tokens"] ** 2 * PAIR_S, {}) for c in prompts]
    attention += [(c, LAUNCH_S + c["batch_size"] * c["tokens"] * 4096 * BYTE_S, {}) for c in contexts]
    write(tmp_path, "attention", attention)
    ways = (("to_device", "pinned", 1e10), ("on_device", "device", 1e12))
    write(
        tmp_path,
        "transfers",
        [({"way": w, "memory": m, "bytes": b}, b / rate, {}) for w, m, rate in ways for b in (10**6, 10**9)],
    )
    sizes = [{"kind": "add", "rows": r, "width": 4096} for r in (1, 16, 256, 1024)]
    write(
        tmp_path,
        "elementwise",
        [(c, LAUNCH_S + c["rows"] * 1e6 * BYTE_S, {"bytes": int(c["rows"] * 1e6)}) for c in sizes],
    )
    return tmp_path


def test_the_fit_recovers_what_made_the_measurements(measured: Path) -> None:
    profile, errors = fit_measured(measured, "card-x")
    values = dict(zip(profile["linear"]["knots"], profile["linear"]["values"], strict=True))
    assert values[1.0] == pytest.approx(WEIGHT_S, rel=0.02)
    assert values[1024.0] == pytest.approx(8 * WEIGHT_S, rel=0.02)
    assert profile["prefill_attention"]["pair_s"] == pytest.approx(PAIR_S, rel=0.05)
    assert profile["decode_attention"]["bytes_per_s"] == pytest.approx(1 / BYTE_S, rel=0.01)
    assert profile["elementwise"]["bytes_per_s"] == pytest.approx(1 / BYTE_S, rel=0.01)
    assert profile["device"]["pcie_bytes_per_s"] == pytest.approx(1e10)
    assert errors["decode_attention"]["contexts"].error.median < 0.01


def test_the_profile_says_where_it_comes_from_and_drives_a_model(measured: Path, tmp_path: Path) -> None:
    profile, _ = fit_measured(measured, "card-x")
    path = tmp_path / "card-x.toml"
    path.write_text(tomli_w.dumps(profile))
    loaded = load_profile(str(path), "hf-eager")
    assert loaded.gpu.usable_bytes == 10**10
    sources = {part.source for part in loaded.describe() if part.part.startswith(("gpu", "kernels"))}
    assert all("Card X, 2026-01-01" in source for source in sources)
    assert 0 < loaded.model("llama-3.1-8b").decode_step_s([100]) < loaded.model("llama-3.1-8b").prefill_s([1000])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda folder: (folder / "gemm.jsonl").unlink(), r"gemm\.jsonl: not there; python -m calibrate.measure"),
        (lambda folder: (folder / "gemm.jsonl").write_text('{"case": {}}\n'), r"gemm\.jsonl, line 1: not a measured"),
        (lambda folder: (folder / "gemm.jsonl").write_text("12\n"), r"gemm\.jsonl, line 1: not a measured case"),
        (
            lambda folder: (folder / "gemm.jsonl").write_text('{"case": {"m": 1}, "skipped": ""}\n'),
            r"every case was skipped",
        ),
        (lambda folder: (folder / "machine.json").unlink(), r"machine\.json"),
    ],
)
def test_broken_measurements_are_one_message(measured: Path, change: Any, says: str) -> None:
    change(measured)
    with pytest.raises(ConfigError, match=says):
        fit_measured(measured, "card-x")


def test_the_engine_is_what_steps_take_beyond_their_kernels(measured: Path, tmp_path: Path) -> None:
    """Steps made of the profile's kernels, 2 ms a step and 0.5 ms a layer; starts of stated lengths."""
    profile, _ = fit_measured(measured, "card-x")
    path = tmp_path / "card-x.toml"
    path.write_text(tomli_w.dumps(profile))
    loaded = load_profile(str(path), "no-engine")
    rows = []
    for layers in (4, 16, 32):
        backbone = replace(load_backbone("llama-3.1-8b"), name=f"{layers}", layers=layers)
        for phase, more_s in (("decode", 0.0), ("prefill", 0.03)):
            model = loaded.model(backbone)
            kernels_s = model.decode_step_s([256], [16]) if phase == "decode" else model.prefill_s([64], [16])
            case = {"model": "llama-3.1-8b", "layers": layers, "rank": 16, "phase": phase, "batch": 1}
            case["tokens"] = 256 if phase == "decode" else 64
            seconds = kernels_s + 0.002 + 0.0005 * layers + more_s
            rows.append((case, seconds, {"first_s": seconds + 0.7}))
    write(measured, "transformers_step", rows)
    starts = {"interpreter": 0.1, "torch": 3.0, "transformers": 2.0, "context": 0.4, "first_product": 0.2}
    made = [({"step": step, "sample": 0}, s, {"wall_s": s, "bytes": 10**8}) for step, s in starts.items()]
    write(measured, "process", made)
    write(measured, "ipc", [({"tensors": n, "bytes": 1}, 0.0, {"export_s": [0.01], "map_s": [0.02]}) for n in (1, 291)])
    write(measured, "assemble", [({"model": "m", "rank": 16}, 1.5, {"build_s": [0.4], "bytes": 10**6})])
    table, error = fit_engine(measured, path, "eager-x")
    assert table["host"]["step_s"] == pytest.approx(0.002, rel=0.02)
    assert table["host"]["layer_s"] == pytest.approx(0.0005, rel=0.02)
    assert table["prefill_host"]["dispatch_s"] == pytest.approx(0.03, rel=0.02)
    assert error.median < 0.01
    engine_path = tmp_path / "eager-x.toml"
    engine_path.write_text(tomli_w.dumps(table))
    stages = {stage.name: stage for stage in load_engine(str(engine_path)).stage}
    assert stages["library"].seconds == pytest.approx(5.0)
    assert stages["context"].seconds == pytest.approx(0.4)
    assert stages["context"].device_bytes == 10**8
    assert stages["backbone"].shared_s == pytest.approx(0.43)
    assert stages["backbone"].seconds == pytest.approx(0.4)
    assert 1.3 < stages["adapter"].seconds < 1.5
    assert stages["first_run"].seconds == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("driver", "gpu"),
    [
        ("NVIDIA H200", "h200-sxm"),
        ("NVIDIA H100 80GB HBM3", "h100-sxm"),
        ("NVIDIA A100-SXM4-80GB", "a100-sxm-80gb"),
        ("NVIDIA L40S", "l40s"),
        ("NVIDIA L40", "NVIDIA L40"),
    ],
)
def test_a_card_is_the_one_of_the_catalogue_that_the_driver_names(measured: Path, driver: str, gpu: str) -> None:
    (measured / "machine.json").write_text(json.dumps(MACHINE | {"gpu": driver}))
    assert fit_measured(measured, "card-x")[0]["gpu"] == gpu
