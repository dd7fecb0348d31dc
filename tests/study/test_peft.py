"""Adapters of PEFT folders become rows whose bytes are rank x P x 2; what is not plain LoRA is refused."""

from __future__ import annotations

import csv
import json
import struct

import pytest

from simlora.errors import ConfigError
from simlora.latency import load_backbone
from simlora.study.adapters import table_from_peft
from simlora.study.functions import make_functions, read_functions
from simlora.study.peft import read_adapter

SMALL = {
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "intermediate_size": 12,
    "vocab_size": 10,
}
CONFIG = {
    "peft_type": "LORA",
    "r": 4,
    "target_modules": ["v_proj", "q_proj"],
    "base_model_name_or_path": "acme/small",
    "rank_pattern": {},
}


def save(folder, tensors, dtype="F32"):
    """A safetensors file of zeros with these shapes."""
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name, (rows, columns) in tensors.items():
        begin, end = end, end + rows * columns * {"F32": 4, "BF16": 2}[dtype]
        header[name] = {"dtype": dtype, "shape": [rows, columns], "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    (folder / "adapter_model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(end))


def lora(modules=("q_proj", "v_proj"), rank=4, layers=2):
    shapes = {"q_proj": (8, 8), "v_proj": (8, 4), "down_proj": (12, 8)}
    found = {}
    for layer in range(layers):
        for module in modules:
            stem = f"base_model.model.model.layers.{layer}.{'mlp' if module == 'down_proj' else 'self_attn'}.{module}"
            d_in, d_out = shapes[module]
            found |= {f"{stem}.lora_A.weight": (rank, d_in), f"{stem}.lora_B.weight": (d_out, rank)}
    return found


@pytest.fixture
def backbone(tmp_path):
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "config.json").write_text(json.dumps(SMALL))
    return {"acme/small": str(tmp_path / "small" / "config.json")}


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "chat"
    made.mkdir()
    (made / "adapter_config.json").write_text(json.dumps(CONFIG))
    save(made, lora())
    return made


@pytest.mark.parametrize(("dtype", "factor"), [("F32", 2), ("BF16", 1)])
def test_an_adapter(folder, backbone, dtype, factor):
    save(folder, lora(), dtype)
    found = read_adapter(folder, backbone)
    assert (found.function, found.rank, found.target_modules) == ("chat", 4, ("q_proj", "v_proj"))
    assert found.bytes == 4 * 2 * ((8 + 8) + (8 + 4)) * 2
    assert found.file_bytes == factor * found.bytes


@pytest.mark.parametrize(
    "base", ["meta-llama/Llama-2-7b-hf", "meta-llama/Llama-2-7b-chat-hf", "x/meta-llama-2-7B", "llama-2-7b"]
)
def test_known_base_models(folder, base):
    (folder / "adapter_config.json").write_text(json.dumps({**CONFIG, "base_model_name_or_path": base}))
    tensors = {}
    for layer in range(32):
        stem = f"base_model.model.model.layers.{layer}.self_attn.q_proj.lora_"
        tensors |= {f"{stem}A.weight": (4, 4096), f"{stem}B.weight": (4096, 4)}
    save(folder, tensors)
    (folder / "adapter_config.json").write_text(
        json.dumps({**CONFIG, "base_model_name_or_path": base, "target_modules": "all-linear"})
    )
    found = read_adapter(folder, {})
    assert found.backbone == "llama-2-7b"
    assert found.bytes == load_backbone("llama-2-7b").adapter_bytes(4, ("q_proj",))


def test_the_table_is_one_that_a_study_reads(folder, backbone, tmp_path):
    out = tmp_path / "functions.csv"
    table_from_peft([folder], out, [f"acme/small={backbone['acme/small']}"], 2.5)
    rows = read_functions(out)
    (function,) = make_functions(rows, tmp_path)
    assert (function.id, function.rank, function.slo_ttft_s) == ("chat", 4, 2.5)
    assert function.adapter.bytes == read_adapter(folder, backbone).bytes
    header, row = csv.reader(out.open(newline=""))
    assert len(row) == len(header)


@pytest.mark.parametrize("slo_ttft_s", [0.0, -1.0, float("inf"), float("nan")])
def test_a_time_that_no_table_may_have_is_refused(folder, backbone, tmp_path, slo_ttft_s):
    with pytest.raises(ConfigError, match="--slo-ttft-s: found"):
        table_from_peft([folder], tmp_path / "functions.csv", [f"acme/small={backbone['acme/small']}"], slo_ttft_s)


BAD_CONFIGS = [
    ({"peft_type": "IA3"}, ["adapter_config.json", "peft_type", "'IA3'"]),
    ({"r": 0}, ["adapter_config.json", "r must be", "0"]),
    ({"r": 8}, ["adapter_model.safetensors", "lora_A", "(4, 8)", "(8, 8)"]),
    ({"rank_pattern": {"q_proj": 8}}, ["rank_pattern", "one rank"]),
    ({"use_dora": True}, ["use_dora"]),
    ({"modules_to_save": ["lm_head"]}, ["modules_to_save", "lm_head"]),
    ({"target_modules": ["q_proj"]}, ["target_modules", "q_proj", "tensors: q_proj, v_proj"]),
    ({"base_model_name_or_path": None}, ["base_model_name_or_path", "None"]),
    ({"base_model_name_or_path": "acme/llama-2-7c"}, ['mean "llama-2-7b"', "--backbone acme/llama-2-7c=NAME"]),
]


@pytest.mark.parametrize(("changed", "fragments"), BAD_CONFIGS, ids=[str(one) for one, _ in BAD_CONFIGS])
def test_bad_configurations_are_named(folder, backbone, changed, fragments):
    (folder / "adapter_config.json").write_text(json.dumps({**CONFIG, **changed}))
    with pytest.raises(ConfigError) as found:
        read_adapter(folder, backbone)
    for fragment in fragments:
        assert fragment in str(found.value)


def test_bad_tensors_are_named(folder, backbone):
    for tensors, message in (
        (lora(layers=1), "found 112 parameters.*has 224"),
        (
            {**lora(), "base_model.model.lm_head.weight": (8, 10)},
            'tensor "base_model.model.lm_head.weight" is no lora_A',
        ),
        ({k: v for k, v in lora().items() if not k.endswith("1.self_attn.v_proj.lora_B.weight")}, "parameters"),
    ):
        save(folder, tensors)
        with pytest.raises(ConfigError, match=message):
            read_adapter(folder, backbone)


def test_damaged_files_are_named(folder, backbone):
    weights = folder / "adapter_model.safetensors"
    whole = weights.read_bytes()
    for content in (whole[:-8], whole[:20], b"", whole[:8] + b"[" + whole[9:], b"\xff" * 64):
        weights.write_bytes(content)
        with pytest.raises(ConfigError, match=r"adapter_model\.safetensors: "):
            read_adapter(folder, backbone)
    weights.unlink()
    with pytest.raises(ConfigError, match="No such file"):
        read_adapter(folder, backbone)
    (folder / "adapter_model.bin").write_bytes(b"")
    with pytest.raises(ConfigError, match="a pickle, which is not opened"):
        read_adapter(folder, backbone)


def test_bad_options(folder, backbone, tmp_path):
    with pytest.raises(ConfigError, match="expected BASE=NAME"):
        table_from_peft([folder], tmp_path / "f.csv", ["small"], None)
    with pytest.raises(ConfigError, match="two folders are named"):
        table_from_peft([folder, folder], tmp_path / "f.csv", [f"acme/small={backbone['acme/small']}"], None)
