"""Whether a policy has what its role asks of it, and its keys values of the types that its fields declare."""

from __future__ import annotations

import difflib
import inspect
import json
import math
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import PydanticSchemaGenerationError, TypeAdapter, ValidationError

from simlora.errors import ConfigError
from simlora.policies.base import ROLES


def typed(policy: type, keys: Mapping[str, Any], what: str) -> dict[str, Any]:
    """The values of a policy's keys as its fields' types have them: a list becomes a tuple where that is declared.

    A type that says nothing about plain values, or that only a type checker can resolve, takes any value. No number is
    NaN, and infinite are only times (``_s``): those that never come.
    Raises :class:`ConfigError` with key, value found and type wanted; ``what`` stands before it.
    """
    for key, value in keys.items():
        for number in _numbers(value):
            if math.isnan(number) or (math.isinf(number) and not key.endswith("_s")):
                raise ConfigError(f'{what}: key "{key}" must be a finite number (found {value!r})')
    return {key: _typed(hint, keys[key], f'{what}: key "{key}"') for key, hint in _hints(policy, keys).items()}


def _numbers(value: Any) -> Iterator[float]:
    """The floats in a value as TOML has it."""
    if isinstance(value, float):
        yield value
    elif isinstance(value, Mapping | list):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _numbers(inner)


def _hints(policy: type, keys: Mapping[str, Any]) -> dict[str, Any]:
    try:
        known = typing.get_type_hints(policy)
    except (NameError, TypeError):
        known = {}
    return {key: known.get(key, Any) for key in keys}


def _typed(hint: Any, value: Any, what: str) -> Any:
    try:
        # As JSON, in which pydantic is strict about numbers and texts but has, as TOML has, one kind of list.
        return TypeAdapter(hint).validate_json(json.dumps(value), strict=True)
    except PydanticSchemaGenerationError:
        return value
    except ValidationError as error:
        wanted = error.errors()[0]["msg"].replace("Input should be", "must be")
        raise ConfigError(f"{what} {wanted} (found {value!r})") from None


def check_role(policy: Any, role: str, what: str) -> None:
    """Raise :class:`ConfigError` if an attribute or method of the role is missing or takes other arguments."""
    protocol = ROLES[role]
    for attribute, wanted in protocol.__annotations__.items():
        if not hasattr(policy, attribute):
            raise ConfigError(f"{what} lacks {attribute}: {wanted}{_near(attribute, policy)}")
    for name, method in vars(protocol).items():
        if not name.startswith("_") and inspect.isfunction(method):
            _check_method(policy, name, inspect.signature(method), what)


def _check_method(policy: Any, name: str, wanted: inspect.Signature, what: str) -> None:
    own, inputs = getattr(policy, name, None), [*wanted.parameters.values()][1:]
    shown = f"{name}{wanted.replace(parameters=inputs)}".replace("'", "")
    if not callable(own):
        raise ConfigError(f"{what} lacks the method {shown}{_near(name, policy)}")
    try:
        inspect.signature(own).bind(*inputs)
    except TypeError as error:
        raise ConfigError(f"{what}: its method {name} is called as {shown}, but: {error}") from None


def _near(name: str, policy: Any) -> str:
    found = difflib.get_close_matches(name, [other for other in dir(policy) if not other.startswith("_")], n=1)
    return f'; it has "{found[0]}": did you mean "{name}"?' if found else ""
