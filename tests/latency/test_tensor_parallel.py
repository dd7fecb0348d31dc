"""A backbone split over several GPUs: what each holds, what a step takes, what a load takes."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from simlora.errors import ConfigError
from simlora.latency import Label, list_profiles, load_backbone, load_gpu, load_node_type, load_profile
from simlora.latency.profile import HERE
from simlora.latency.sources import read_toml

NAMES, GPUS = ("llama-2-7b", "llama-2-13b", "llama-2-70b", "llama-3.1-8b"), (2, 4, 8)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("gpus", GPUS)
def test_each_gpu_holds_its_part(name: str, gpus: int) -> None:
    whole, split = load_backbone(name), load_backbone(name, gpus)
    assert split is load_backbone(name, gpus)
    assert split is not whole
    assert whole.shard is whole
    assert (split.weights_bytes, split.kv_bytes_per_token) == (whole.weights_bytes, whole.kv_bytes_per_token)
    assert split.shard.kv_bytes_per_token * gpus == whole.kv_bytes_per_token
    norms_bytes = (2 * whole.layers + 1) * whole.hidden * whole.param_bytes
    assert split.shard.weights_bytes * gpus == whole.weights_bytes + (gpus - 1) * norms_bytes
    modules = ("q_proj", "o_proj")
    assert whole.adapter_bytes(16, modules) / gpus < split.shard.adapter_bytes(16, modules)
    assert split.shard.adapter_bytes(16, modules) < whole.adapter_bytes(16, modules)


def test_heads_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"llama-2-13b: tensor_parallel must divide heads = 40 .found 3"):
        load_backbone("llama-2-13b", 3)


@pytest.mark.parametrize("profile", list_profiles())
@pytest.mark.parametrize("gpus", GPUS)
def test_a_step_is_its_shard_and_two_sums_a_layer(profile: str, gpus: int) -> None:
    found = load_profile(profile)
    split = load_backbone("llama-2-13b", gpus)
    fitted = found.kernels.all_reduce
    assert fitted is not None
    bytes_ = 64 * split.hidden * split.param_bytes
    low, high = max(k for k in fitted.knots if k <= bytes_), min(k for k in fitted.knots if k > bytes_)
    at = dict(zip(fitted.knots, fitted.over(gpus), strict=True))
    sum_s = at[low] + (at[high] - at[low]) * (bytes_ - low) / (high - low)
    model, shard = found.model(split), found.model(split.shard)
    for ours, alone in (
        (model.prefill_s([64], [16]), shard.prefill_s([64], [16])),
        (model.decode_step_s([300] * 64), shard.decode_step_s([300] * 64)),
    ):
        assert ours - alone == pytest.approx(2 * split.layers * sum_s, rel=1e-9)


@given(st.sampled_from(list_profiles()), st.integers(2, 8), st.integers(0, 2**29), st.integers(0, 2**29))
def test_larger_sums_take_no_less(profile: str, gpus: int, one: int, other: int) -> None:
    fitted = load_profile(profile).kernels.all_reduce
    assert fitted is not None
    values = fitted.over(gpus)
    assert list(values) == sorted(values)
    assert values[0] > 0


def test_sums_nobody_measured_are_those_of_another_gpu_and_say_so(tmp_path: Path) -> None:
    table = read_toml(HERE / "h100-sxm.toml", dict)
    del table["all_reduce"]
    (tmp_path / "own.toml").write_text(tomli_w.dumps({**table, "name": "own"}))
    own = load_profile(str(tmp_path / "own.toml"))
    parts = {part.part: part for part in own.describe()}
    assert "kernels of own: all_reduce" not in parts
    own.model(load_backbone("llama-2-7b", 2))
    part = {part.part: part for part in own.describe()}["kernels of own: all_reduce"]
    assert part.label is Label.TRANSFERRED
    assert part.source.startswith("as of h100-sxm")


def test_parts_are_loaded_at_once_from_one_storage() -> None:
    profile, node = load_profile("l40s"), load_node_type("g6e.24xlarge")
    size, pcie = 26_000_000_000, load_gpu("l40s").pcie_bytes_per_s
    assert profile.load_s(size, ("ssd", "device"), "sllm", node, 4) == size / node.ssd_bytes_per_s
    assert profile.load_s(size, ("host", "device"), "sllm", node, 4) == pytest.approx(size / (4 * pcie))
    assert profile.load_s(size, ("ssd", "device"), "safetensors", node, 2) == pytest.approx(size / 6.8e9)


def test_the_shipped_sums_are_near_the_table(data_dir: Path) -> None:
    rows = pd.read_csv(data_dir / "calibration" / "aiconfigurator" / "nccl_half.csv")
    rows = rows[(rows.op_name == "all_reduce") & (rows.gpu == "h100_sxm")]
    fitted = load_profile("h100-sxm").kernels.all_reduce
    assert fitted is not None
    for gpus in GPUS:
        mine = rows[(rows.num_gpus == gpus) & rows.message_bytes_or_elems.isin([4096, 131072, 16777216])]
        for row in mine.itertuples():
            size = 2 * row.message_bytes_or_elems
            at = [k for k in fitted.knots if k <= size][-1]
            after = fitted.knots[fitted.knots.index(at) + 1]
            values = dict(zip(fitted.knots, fitted.over(gpus), strict=True))
            seconds = values[at] + (values[after] - values[at]) * (size - at) / (after - at)
            assert seconds == pytest.approx(row.latency_ms * 1e-3, rel=0.35)
