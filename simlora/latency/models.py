"""The catalogue of backbones, and any other from its Hugging Face ``config.json``."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from simlora.entities import Backbone
from simlora.errors import ConfigError, unknown_name
from simlora.latency.sources import read_json

CATALOGUE = Path(__file__).with_name("backbones.json")
"""Shipped backbones by the keys of their ``config.json``; ``calibrate.measure`` reads the same file."""
PARAM_BYTES = {"float16": 2, "bfloat16": 2, "float32": 4}


def list_backbones() -> dict[str, str]:
    """The shipped backbones by name, each with where its numbers are from."""
    return {name: config["source"] for name, config in sorted(_catalogue().items())}


@cache
def _catalogue() -> dict[str, Any]:
    return read_json(CATALOGUE)


@cache
def load_backbone(name: str, tensor_parallel: int = 1) -> Backbone:
    """A backbone of the catalogue, or from the path of a Hugging Face ``config.json`` (named after its folder).

    One object per name and number of GPUs it is split over, so that identity is equality. Raises :class:`ConfigError`
    for an unknown name, a bad file, or a number of GPUs over which it can't be split.
    """
    if tensor_parallel != 1:
        try:
            return replace(load_backbone(name), tensor_parallel=tensor_parallel)
        except ValueError as error:
            raise ConfigError(f"{name}: {error}") from None
    if name in _catalogue():
        return _from_config(name, _catalogue()[name], CATALOGUE)
    path = Path(name)
    if path.suffix != ".json" and not path.is_dir():
        raise unknown_name("backbone", name, _catalogue())
    return _read(path / "config.json" if path.is_dir() else path)


def _read(path: Path) -> Backbone:
    return _from_config(path.resolve().parent.name, read_json(path), path)


def _from_config(name: str, config: dict[str, Any], path: Path) -> Backbone:
    heads, hidden = _count(config, "num_attention_heads", path), _count(config, "hidden_size", path)
    dtype = config.get("torch_dtype", config.get("dtype", "float16"))
    if dtype not in PARAM_BYTES:
        raise ConfigError(f'{path}: torch_dtype "{dtype}" is not one of {", ".join(PARAM_BYTES)}')
    return Backbone(
        name=name,
        layers=_count(config, "num_hidden_layers", path),
        hidden=hidden,
        heads=heads,
        kv_heads=_count(config, "num_key_value_heads", path) if config.get("num_key_value_heads") else heads,
        head_dim=_count(config, "head_dim", path) if config.get("head_dim") else hidden // heads,
        intermediate=_count(config, "intermediate_size", path),
        vocab=_count(config, "vocab_size", path),
        tied_embeddings=bool(config.get("tie_word_embeddings", False)),
        param_bytes=PARAM_BYTES[dtype],
    )


def _count(config: dict[str, Any], key: str, path: Path) -> int:
    value = config.get(key)
    if not isinstance(value, int) or value < 1:
        raise ConfigError(f"{path}: {key} must be a positive integer (found {value!r})")
    return value
