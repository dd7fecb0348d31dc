"""Folders of random weights, as the libraries that read them find them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from simlora.cli.app import app
from simlora.errors import ConfigError


def call(*words: str) -> str:
    result = CliRunner().invoke(app, words)
    if result.exception:
        raise result.exception
    return result.output


@pytest.mark.torch
def test_a_model_and_its_adapter_are_read_by_transformers_and_peft(tmp_path: Path) -> None:
    peft, transformers = pytest.importorskip("peft"), pytest.importorskip("transformers")
    call("make-model", "tiny-llama", "--random", "--out", str(tmp_path / "model"))
    call("make-adapter", str(tmp_path / "model"), "--random", "--rank", "4", "--out", str(tmp_path / "adapter"))
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    found = peft.PeftModel.from_pretrained(model, tmp_path / "adapter")
    ranks = {value.shape[0] for name, value in found.named_parameters() if "lora_A" in name}
    assert ranks == {4}


@pytest.mark.torch
def test_two_adapters_are_never_alike(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    for number in ("0", "1"):
        call("make-adapter", "tiny-llama", "--random", "--number", number, "--out", str(tmp_path / number))
    first, second = ((tmp_path / n / "adapter_model.safetensors").read_bytes() for n in ("0", "1"))
    assert first != second
    assert json.loads((tmp_path / "0" / "adapter_config.json").read_text())["target_modules"] == ["q_proj", "v_proj"]


@pytest.mark.parametrize("what", ["make-model", "make-adapter"])
def test_random_weights_are_made_only_where_they_are_meant(what: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--random"):
        call(what, "tiny-llama", "--out", str(tmp_path / "new"))
    assert not (tmp_path / "new").exists()
