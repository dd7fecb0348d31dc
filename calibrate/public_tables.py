"""``python -m calibrate.public_tables``: the shipped kernel profiles, fitted on NVIDIA's aiconfigurator tables.

Reads ``$SIMLORA_DATA/calibration/aiconfigurator`` and writes ``simlora/latency/profiles/*.toml``: coefficients with
their source and their error on held-out points, never the tables.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import tomli_w

from calibrate.all_reduce import fit_all_reduce
from calibrate.attention import fit_decode, fit_prefill
from calibrate.data import ending, public_data
from calibrate.linear import fit_linear
from calibrate.lora import fit_lora
from calibrate.relative import Held, by_size
from simlora.latency.hardware import load_gpu

SOURCE = "github.com/ai-dynamo/aiconfigurator 095f58a51c4ca8e61b66ec108d86f223f8d559ce, Apache-2.0"
PROFILES = Path(__file__).parents[1] / "simlora" / "latency" / "profiles"
EMPIRICAL_BANDWIDTH, ELEMENTWISE_LAUNCH_S = 0.8, 3e-6
HEAD_DIM, ELEMENT_BYTES = 128, 2
SMALLEST_DIM, SMALLEST_WEIGHTS = 1024, 4096 * 2048  # smaller products are not projections of a 7B model or larger
SMALLEST_HEADS, SMALLEST_PROMPT = 32, 16
RANKS = (32, 64, 128)  # of the table's smaller dimensions; ranks below 32 lie under the launch


class Table(NamedTuple):
    """One GPU of the tables: its name there, the last-level cache of its data sheet, the kernels that were timed."""

    gpu: str
    cache_bytes: int
    gemm: str


TABLES = {
    "l40s": Table("l40s", 96 * 2**20, "vLLM 0.24.0"),
    "a100-sxm-80gb": Table("a100_sxm", 40 * 2**20, "vLLM 0.14.0"),
    "h100-sxm": Table("h100_sxm", 50 * 2**20, "vLLM 0.24.0"),
    "h200-sxm": Table("h200_sxm", 50 * 2**20, "vLLM 0.24.0"),
}


def read_tables(folder: Path, table: Table) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """(matrix products, prefill attention, decode attention) of one GPU, times in seconds."""
    gemm = pd.read_csv(folder / f"gemm_bf16_{table.gpu}.csv")
    gemm["seconds"] = gemm.latency_ms * 1e-3
    gemm = gemm.groupby(["m", "n", "k"])[["seconds"]].median().reset_index()
    return gemm, _attention(folder, table, "context"), _attention(folder, table, "generation")


def read_all_reduce(folder: Path, table: Table) -> pd.DataFrame:
    """Sums over the GPUs of a node: gpus, bytes and seconds.

    The table counts elements of two bytes: as bytes, eight H100 would move 222 GB/s over links of 450.
    """
    rows = pd.read_csv(folder / "nccl_half.csv")
    rows = rows[(rows.gpu == table.gpu) & (rows.op_name == "all_reduce")]
    size = rows.message_bytes_or_elems * ELEMENT_BYTES
    return pd.DataFrame({"gpus": rows.num_gpus, "bytes": size, "seconds": rows.latency_ms * 1e-3})


def _attention(folder: Path, table: Table, phase: str) -> pd.DataFrame:
    rows = pd.read_csv(folder / f"attention_{phase}_bf16.csv")
    rows["seconds"] = rows.latency_ms * 1e-3
    names = {"num_heads": "heads", "num_key_value_heads": "kv_heads", "batch_size": "batch"}
    rows = rows.rename(columns=names | {"isl" if phase == "context" else "kv_len": "tokens"})
    rows["row_bytes"] = HEAD_DIM * ELEMENT_BYTES
    ours = (rows.gpu == table.gpu) & rows.backend.str.startswith("sglang")
    return rows[ours & (rows.heads >= SMALLEST_HEADS) & (rows.tokens >= SMALLEST_PROMPT)].reset_index(drop=True)


def fit_profile(folder: Path, name: str) -> tuple[dict[str, Any], dict[str, dict[str, Held]]]:
    """(a table for :class:`simlora.latency.kernels.KernelProfile`, the points held out of the fits of its parts)."""
    table = TABLES[name]
    gemm, prefill, decode = read_tables(folder, table)
    whole = (gemm.n >= SMALLEST_DIM) & (gemm.k >= SMALLEST_DIM) & (gemm.n * gemm.k >= SMALLEST_WEIGHTS)
    held_out: dict[str, dict[str, Held]] = {}
    profile: dict[str, Any] = {
        "schema_version": 1,
        "name": name,
        "gpu": name,
        "label": "public-table",
        "source": SOURCE,
        "valid": "16-bit weights and KV, head dimension 128",
        "max_prefill_tokens": int(gemm.m.max()),
        "max_batch": int(decode.batch.max()),
    }
    large = f"{int(gemm.m.min())} to {int(gemm.m.max())} tokens"
    products = f"torch linear with {table.gemm}"
    fits = {
        "linear": (fit_linear(gemm[whole]), products, f"{large}; n, k 1024 to 16384, n k >= 8 M"),
        "prefill_attention": (fit_prefill(prefill), "SGLang 0.5.10", "16 to 16384 tokens a prompt; 32 to 64 heads"),
        "decode_attention": (fit_decode(decode, table.cache_bytes), "SGLang 0.5.10", "contexts of 64 to 16384 tokens"),
        "all_reduce": (
            fit_all_reduce(read_all_reduce(folder, table)),
            "NCCL",
            "2 to 8 GPUs of a node, 0.5 KB to 0.5 GB",
        ),
        "lora": (fit_lora(gemm, RANKS, SMALLEST_DIM), products, "one adapter, rank <= 128; below 32 the launch"),
    }
    for part, ((coefficients, held), kernels, valid) in fits.items():
        held_out[part] = held
        head = {"label": "public-table", "source": f"{SOURCE}; {kernels}", "valid": valid}
        profile[part] = head | stated(held) | coefficients
    profile["elementwise"] = {
        "label": "derived",
        "source": f"{SOURCE}; systems/*.yaml: 3 us a kernel, 0.8 of nominal memory bandwidth",
        "valid": "any token count; operands that stay in the cache are faster",
        "launch_s": ELEMENTWISE_LAUNCH_S,
        "bytes_per_s": EMPIRICAL_BANDWIDTH * load_gpu(name).hbm_bytes_per_s,
    }
    return profile, held_out


def stated(held: dict[str, Held]) -> dict[str, Any]:
    """What a profile says of how far off a part was on points held out of its fit: in words, and by size."""
    words = "; ".join(f"held-out {what}: {points.error}" for what, points in held.items())
    return {"error": words, "residuals": [{"of": what} | row for what in held for row in by_size(held[what])]}


def rounded(value: Any) -> Any:
    """Six significant digits: far below the error of any fit."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return {key: rounded(item) for key, item in value.items()} if isinstance(value, dict) else value


def main() -> None:
    """Fit and write all profiles, printing held-out errors."""
    folder = public_data("calibration/aiconfigurator")
    for name in TABLES:
        profile, held_out = fit_profile(folder, name)
        (PROFILES / f"{name}.toml").write_text(tomli_w.dumps(rounded(profile)), encoding="utf-8")
        print(name)
        for part, held in held_out.items():
            for what, points in held.items():
                print(f"  {part}, held-out {what}: {points.error}")


if __name__ == "__main__":
    sys.exit(ending(main))
