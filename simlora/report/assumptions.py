"""The numbered assumptions that a run rests on, and what each is set to there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

PACKAGE = Path(__file__).resolve().parents[1]
ROW = re.compile(r"^\| (A\d+) \| (.*) \| (.*) \| (.*) \|$", re.MULTILINE)
KEY = re.compile(r"`([\w.]+)`(?: \(([^)]*)\))?")
"""A key, and in brackets the names of those it is about where not all have it."""
MANY = 4
"""Owners of one value, from which on they are not listed."""
ENGINE = re.compile(r"engine profile `([^`]+)`")


class Assumption(NamedTuple):
    """One row of the table in DESIGN.md: its number, what is assumed, the value, the key that varies it (Markdown)."""

    number: str
    text: str
    value: str
    key: str


def assumptions() -> list[Assumption]:
    """All of them, from DESIGN.md: of a checkout, or the copy in an installed wheel."""
    installed = PACKAGE / "_design.md"
    path = installed if installed.is_file() else PACKAGE.parent / "DESIGN.md"
    return [Assumption(*row) for row in ROW.findall(path.read_text(encoding="utf-8"))]


def concerns(assumption: Assumption, resolved: Mapping[str, Any]) -> bool:
    """Whether it is about all, or names a policy, a system or an engine profile that a ``resolved.toml`` has."""
    named = [name for _, names in KEY.findall(assumption.key) for name in _names(names)]
    named += ENGINE.findall(assumption.key)
    present = {_plain(text) for system in resolved.get("system", ()) for text in _texts(system)}
    return not named or any(_plain(name) in present for name in named)


def setting(assumption: Assumption, resolved: Mapping[str, Any]) -> str:
    """What its keys are set to in a ``resolved.toml``; empty if none of them occurs there."""
    found = {key: _values(key, _names(names), resolved) for key, names in KEY.findall(assumption.key)}
    texts = {key: _spoken(values) for key, values in found.items() if values}
    return "; ".join(f"{key}: {text}" if len(texts) > 1 else text for key, text in texts.items())


def _names(text: str) -> list[str]:
    return [name for name in text.split(" or ") if name]


def _plain(name: str) -> str:
    return name.lower().replace("-", "")


def _texts(table: Mapping[str, Any]) -> Iterator[str]:
    for value in table.values():
        if isinstance(value, Mapping):
            yield from _texts(value)
        elif isinstance(value, str):
            yield value


def _values(key: str, wanted: Sequence[str], resolved: Mapping[str, Any]) -> dict[str, list[str]]:
    """Each value of a key, or of those wanted, with the systems or scenarios that have it."""
    values: dict[str, list[str]] = {}
    for owner, table in _tables(resolved):
        value = _at(table, key.split("."))
        if value is not None and (not wanted or "." in key or value in wanted):
            values.setdefault(value, []).append(owner)
    return values


def _tables(resolved: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield "", {key: value for key, value in resolved.items() if key not in ("system", "scenario", "function")}
    for kind in ("system", "scenario"):
        for table in resolved.get(kind, ()):
            yield str(table.get("name", "")), table


def _at(table: Mapping[str, Any], path: Sequence[str]) -> str | None:
    value: Any = table
    for part in path:
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    if isinstance(value, Mapping):
        value = value.get("policy", value.get("name"))
    return ", ".join(map(str, value)) if isinstance(value, list) else None if value is None else str(value)


def _spoken(values: Mapping[str, Sequence[str]]) -> str:
    """One value alone; of several the owners of each, where the most common one has many as the others."""
    *rare, (most, last) = sorted(values.items(), key=lambda item: len(item[1]))
    if not rare:
        return most
    of_most = "others" if len(last) >= MANY else ", ".join(last)
    return "; ".join([*(f"{value} ({', '.join(owners)})" for value, owners in rare), f"{most} ({of_most})"])
