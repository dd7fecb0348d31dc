"""``"name"`` or ``{name = ..., key = ...}`` of an experiment file, made into what it names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from simlora.errors import ConfigError, did_you_mean, unknown_name

Known = Mapping[str, tuple[type[BaseModel], Mapping[str, Any]]]


def split_name(what: str, given: str | Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The name and the other keys; raises :class:`ConfigError` if there is no name."""
    if isinstance(given, str):
        return given, {}
    if not isinstance(given, Mapping):
        raise ConfigError(f"{what}: found {given!r}; allowed: a name, or a table with the key name")
    keys = dict(given)
    name = keys.pop("name", None)
    if not isinstance(name, str):
        raise ConfigError(f'{what}: key "name" is missing or not a text (found {name!r})')
    return name, keys


def read_options(what: str, given: str | Mapping[str, Any], known: Known) -> BaseModel:
    """An instance of the class that the name stands for; the name's own values can't be given as keys.

    Raises :class:`ConfigError` naming the name or key, the value found and what is allowed.
    """
    name, keys = split_name(what, given)
    if name not in known:
        raise unknown_name(what, name, known)
    kind, fixed = known[name]
    open_keys = [key for key in kind.model_fields if key not in fixed]
    for key in keys:
        if key not in open_keys:
            raise ConfigError(f'{what} "{name}": no key "{key}"{did_you_mean(key, open_keys)}')
    try:
        return kind(**fixed, **keys)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "missing":
            raise ConfigError(f'{what} "{name}": key "{key}" is missing; keys: {", ".join(open_keys)}') from None
        raise ConfigError(f'{what} "{name}": key "{key}": found {first["input"]!r}; {first["msg"]}') from None
