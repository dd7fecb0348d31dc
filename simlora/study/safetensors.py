"""The header of a safetensors file: names, shapes and types of its tensors; the tensors themselves are not read.

Format: 8 bytes, the length of the header (little-endian), then the header as JSON, then the data
(huggingface/safetensors, README, "Format").
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from simlora.errors import ConfigError

LENGTH_BYTES = 8
MOST_HEADER_BYTES = 100_000_000
"""As the format's own reader allows."""
DTYPE_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


class Tensor(NamedTuple):
    """One tensor by its header entry."""

    dtype: str
    shape: tuple[int, ...]
    bytes: int


def read_header(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name, in its order; :class:`ConfigError` names file and tensor of what does not fit."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(LENGTH_BYTES), "little")
            text = file.read(length) if length <= MOST_HEADER_BYTES else b""
        size = path.stat().st_size
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    if len(text) < max(length, 1):
        raise ConfigError(f"{path}: no safetensors file, or truncated: {size} bytes hold no header of {length}")
    try:
        header = json.loads(text)
        tensors = {name: _tensor(path, name, entry) for name, entry in header.items() if name != "__metadata__"}
    except (ValueError, AttributeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: the header is damaged: {error}") from None
    there = size - LENGTH_BYTES - length
    wanted = sum(tensor.bytes for tensor in tensors.values())
    if there != wanted:
        raise ConfigError(f"{path}: found {there} bytes of data; the header says {wanted} (truncated?)")
    return tensors


def _tensor(path: Path, name: str, entry: Any) -> Tensor:
    try:
        dtype, shape = str(entry["dtype"]), tuple(int(length) for length in entry["shape"])
        begin, end = (int(place) for place in entry["data_offsets"])
    except (KeyError, TypeError) as error:
        raise ConfigError(f'{path}: tensor "{name}": no dtype, shape and data_offsets ({error})') from None
    size = DTYPE_BYTES.get(dtype, 0)
    for length in shape:
        size *= length
    if dtype not in DTYPE_BYTES or end - begin != size:
        raise ConfigError(f'{path}: tensor "{name}": {dtype} of shape {shape} does not take {end - begin} bytes')
    return Tensor(dtype, shape, size)
