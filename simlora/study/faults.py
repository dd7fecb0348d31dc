"""What is wrong with a table, in one line: where, the key, the value found, what is allowed."""

from __future__ import annotations

import difflib
import re
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from simlora.errors import ConfigError, did_you_mean
from simlora.study.document import Document


def refusal(error: ValidationError, schema: type[BaseModel], document: Document) -> ConfigError:
    """The first fault that pydantic found in a document, as the user should read it."""
    first, key = _deepest(error, document.table)
    kind, found = first["type"], first.get("input")
    where, name = document.where(key), _dotted(key)
    if kind == "missing":
        return ConfigError(f'{where}: key "{name}" is missing')
    if kind == "extra_forbidden":
        return ConfigError(f'{where}: no key "{name}"{did_you_mean(str(key[-1]), _keys(schema, key[:-1]))}')
    if kind == "literal_error":
        allowed = first["ctx"]["expected"]
        near = difflib.get_close_matches(str(found), re.findall(r"'([^']*)'", allowed), n=1)
        meant = f'; did you mean "{near[0]}"?' if near else ""
        return ConfigError(f"{where}: {name} must be {allowed} (found {found!r}){meant}")
    message = first["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    subject = f"{name}: " if name else ""
    return ConfigError(f"{where}: {subject}{message}" + ("" if kind == "value_error" else f" (found {found!r})"))


def _deepest(error: ValidationError, table: dict[str, Any]) -> tuple[Any, tuple[int | str, ...]]:
    """The first fault, or of a value of several allowed forms the one that is found furthest inside it; there a key too
    many comes before one too few, which it may be, misspelt."""
    faults = [
        (one, _in_table(one["loc"], table, one["type"] in {"missing", "extra_forbidden"})) for one in error.errors()
    ]
    same = [fault for fault in faults if fault[1][:1] == faults[0][1][:1]]
    if len(faults[0][1]) != 1:
        return faults[0]
    return max(same, key=lambda fault: (len(fault[1]), fault[0]["type"] == "extra_forbidden"))


def _in_table(loc: tuple[int | str, ...], table: Any, last_is_key: bool) -> tuple[int | str, ...]:
    """``loc`` without the names that pydantic gives to the members of a union."""
    key: list[int | str] = []
    for at, part in enumerate(loc):
        there = part < len(table) if isinstance(part, int) and isinstance(table, list) else False
        if there or (isinstance(table, dict) and part in table):
            key.append(part)
            table = table[part]
        elif last_is_key and at == len(loc) - 1:
            key.append(part)
    return tuple(key)


def _dotted(key: tuple[int | str, ...]) -> str:
    return "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in key).lstrip(".")


def _keys(schema: type[BaseModel], table: tuple[int | str, ...]) -> list[str]:
    model = schema
    for part in table:
        if isinstance(part, str) and part in model.model_fields:
            annotation = model.model_fields[part].annotation
            inner = [annotation, *get_args(annotation)]
            model = next((m for m in inner if isinstance(m, type) and issubclass(m, BaseModel)), model)
    return list(model.model_fields)
