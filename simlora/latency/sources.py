"""Where a figure comes from, and how a file of such figures is read or refused."""

from __future__ import annotations

import json
import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from simlora.errors import ConfigError, did_you_mean

T = TypeVar("T")


class Label(StrEnum):
    """How far a figure can be trusted, best first."""

    MEASURED = "measured"
    PUBLIC_TABLE = "public-table"
    TRANSFERRED = "transferred"
    DERIVED = "derived"
    FIGURE_ONLY = "figure-only"
    ASSUMPTION = "assumption"


class Sourced(BaseModel):
    """Base of every entry of a latency file: an entry without label, source and valid range is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    label: Label
    source: str = Field(min_length=1, description="repository, commit, licence; paper, section; or why assumed")
    valid: str = Field(min_length=1, description="the range in which the figures hold")
    error: str = Field(default="not stated", description="held-out error or spread")


def read_toml(path: Path, schema: type[T], **values: Any) -> T:
    """Read ``path`` and check it against ``schema``; ``values`` are added to what the file says.

    Raises :class:`ConfigError` naming the file, the key, the value found and what is allowed.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not a TOML file: {error}") from None
    return checked(path, schema, {**values, **table})


def read_json(path: Path) -> dict[str, Any]:
    """The object that a JSON file holds; :class:`ConfigError` naming the file if it can't be read or holds another."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{path}: not a JSON file: {error}") from None
    if not isinstance(found, dict):
        raise ConfigError(f"{path}: expected an object, found {type(found).__name__}")
    return found


def checked(path: Path, schema: type[T], table: dict[str, Any]) -> T:
    """The table that ``path`` holds as ``schema``; :class:`ConfigError` as :func:`read_toml` raises it."""
    try:
        return TypeAdapter(schema).validate_python(table)
    except ValidationError as error:
        raise ConfigError(f"{path}: {_first_fault(error, schema)}") from None


def _first_fault(error: ValidationError, schema: Any) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        return f'key "{key}" is missing; every entry states label, source and valid range'
    if first["type"] == "extra_forbidden":
        *table, found = first["loc"]
        return f'no key "{key}"{did_you_mean(str(found), _keys(schema, table))}'
    return f"{key}: {first['msg']} (found {first['input']!r})"


def _keys(schema: Any, table: list[int | str]) -> list[str]:
    """Keys that the table at this place of the file may have."""
    model = _model(schema)
    for part in table:
        if isinstance(part, str) and part in model.model_fields:
            model = _model(model.model_fields[part].annotation)
    return list(model.model_fields)


def _model(annotation: Any) -> type[BaseModel]:
    """The pydantic model in an annotation such as ``dict[str, Loader]`` or ``tuple[Stage, ...]``."""
    inner = [annotation, *get_args(annotation)]
    return next(kind for kind in inner if isinstance(kind, type) and issubclass(kind, BaseModel))
