"""Functions from folders of PEFT adapters: rank, target modules and backbone, checked against the tensors' shapes.

Read are ``adapter_config.json`` and the header of ``adapter_model.safetensors`` (huggingface/peft, checkpoint format).
Nothing is unpickled.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from simlora.entities import PROJECTIONS, Backbone
from simlora.errors import ConfigError, unknown_name
from simlora.latency import list_backbones, load_backbone
from simlora.latency.sources import read_json
from simlora.study.functions import COLUMNS
from simlora.study.generated import PUBLISHED_TTFT_S
from simlora.study.safetensors import Tensor, read_header
from simlora.study.store import one_message

CONFIG, WEIGHTS, PICKLED = "adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"
LORA_TENSOR = re.compile(r"\.layers\.(\d+)\.(?:\w+\.)*(\w+)\.lora_([AB])(?:\.\w+)?\.weight$")
TUNED = re.compile(r"-(hf|chat|instruct|it|base)$")
"""Ends of repository names that say how a model was tuned or packed, not how large it is."""


class Adapter(NamedTuple):
    """One folder as a row of a functions table; ``bytes`` at two a parameter, ``file_bytes`` as stored."""

    function: str
    backbone: str
    rank: int
    target_modules: tuple[str, ...]
    bytes: int
    file_bytes: int


def read_adapter(folder: Path, backbones: Mapping[str, str]) -> Adapter:
    """The adapter in a folder. ``backbones``: base model names to backbones, before the names simlora knows.

    Raises :class:`ConfigError` naming file and field: no LoRA, a rank or modules that differ from the tensors', other
    tensors than those of LoRA, or a backbone that is not known or has other shapes.
    """
    config_path, weights_path = folder / CONFIG, folder / WEIGHTS
    config = read_json(config_path)
    rank = _plain_lora(config, config_path)
    name, backbone = _backbone(config, config_path, backbones)
    if not weights_path.exists() and (folder / PICKLED).exists():
        raise ConfigError(f"{folder / PICKLED}: a pickle, which is not opened; save the adapter as {WEIGHTS}")
    tensors = read_header(weights_path)
    modules = _modules(tensors, weights_path, rank, backbone)
    _same_modules(config.get("target_modules"), modules, config_path)
    found, wanted = _parameters(tensors.values()), backbone.adapter_bytes(rank, modules) // backbone.param_bytes
    if found != wanted:
        raise ConfigError(
            f"{weights_path}: found {found:,} parameters; rank {rank} on {', '.join(modules)} of every layer "
            f"of {name} has {wanted:,}"
        )
    stored = sum(tensor.bytes for tensor in tensors.values())
    return Adapter(folder.resolve().name, name, rank, modules, backbone.adapter_bytes(rank, modules), stored)


def _plain_lora(config: Mapping[str, Any], path: Path) -> int:
    """The rank, if all there is can be said by a rank and modules."""
    if config.get("peft_type") != "LORA":
        raise ConfigError(f"{path}: peft_type: found {config.get('peft_type')!r}; allowed: 'LORA'")
    for field in ("rank_pattern", "modules_to_save", "use_dora", "layers_to_transform", "layer_replication"):
        if config.get(field):
            raise ConfigError(
                f"{path}: {field}: found {config[field]!r}; a function's adapter has one rank on the same "
                "projections of every layer, and nothing else"
            )
    rank = config.get("r")
    if not isinstance(rank, int) or isinstance(rank, bool) or rank < 1:
        raise ConfigError(f"{path}: r must be a positive integer (found {rank!r})")
    return rank


def _backbone(config: Mapping[str, Any], path: Path, backbones: Mapping[str, str]) -> tuple[str, Backbone]:
    base = config.get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise ConfigError(f"{path}: base_model_name_or_path: found {base!r}; allowed: a model's name or folder")
    known = list_backbones()
    short = base.rstrip("/").rpartition("/")[2].lower().removeprefix("meta-")
    while TUNED.search(short):
        short = TUNED.sub("", short)
    name = backbones.get(base) or (base if (Path(base) / "config.json").is_file() else short)
    if name not in known and not Path(name).exists():
        missing = unknown_name("backbone", name, known, f"{path}: base_model_name_or_path {base!r}")
        raise ConfigError(f"{missing} (--backbone {base}=NAME, or the path of its config.json, says which it is)")
    return name, load_backbone(name)


def _modules(tensors: Mapping[str, Tensor], path: Path, rank: int, backbone: Backbone) -> tuple[str, ...]:
    """The projections that have tensors, each checked against the backbone's shapes."""
    shapes = backbone.projections()
    seen: dict[str, None] = {}
    for name, tensor in tensors.items():
        match = LORA_TENSOR.search(name)
        if match is None or match[2] not in shapes:
            raise ConfigError(f'{path}: tensor "{name}" is no lora_A or lora_B of {", ".join(PROJECTIONS)}')
        d_in, d_out = shapes[match[2]]
        wanted = (rank, d_in) if match[3] == "A" else (d_out, rank)
        if tensor.shape != wanted:
            raise ConfigError(
                f'{path}: tensor "{name}": found shape {tensor.shape}; rank {rank} on {backbone.name} has {wanted}'
            )
        seen[match[2]] = None
    return tuple(module for module in PROJECTIONS if module in seen)


def _same_modules(said: Any, modules: Sequence[str], path: Path) -> None:
    """What the configuration lists is what has tensors; a pattern or "all-linear" lists nothing."""
    if isinstance(said, list) and sorted(map(str, said)) != sorted(modules):
        raise ConfigError(f"{path}: target_modules: found {', '.join(map(str, said))}; tensors: {', '.join(modules)}")


def _parameters(tensors: Any) -> int:
    total = 0
    for tensor in tensors:
        rows, columns = tensor.shape
        total += rows * columns
    return total


def write_functions(adapters: Sequence[Adapter], path: Path, slo_ttft_s: float | None) -> None:
    """A functions table of the adapters; without ``slo_ttft_s`` the published one of a backbone, where there is one.

    Raises :class:`ConfigError` for two folders of one name.
    """
    names: dict[str, None] = {}
    for adapter in adapters:
        if adapter.function in names:
            raise ConfigError(f'two folders are named "{adapter.function}"; a function is called after its folder')
        names[adapter.function] = None
    with one_message(path), path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for one in adapters:
            slo = PUBLISHED_TTFT_S.get(one.backbone, "") if slo_ttft_s is None else slo_ttft_s
            writer.writerow((one.function, one.backbone, one.rank, ";".join(one.target_modules), slo, "", 1))
