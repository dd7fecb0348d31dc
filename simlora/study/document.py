"""A TOML file that remembers on which line each of its keys stands."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simlora.errors import ConfigError, TraceError, did_you_mean

HEADER = re.compile(r"\s*(\[\[?)([^\[\]]+)\]\]?\s*(#.*)?$")
ASSIGNMENT = re.compile(r"""\s*((?:[\w.\-\s]|"[^"]*"|'[^']*')+?)\s*=""")

Key = tuple[str | int, ...]


@dataclass(frozen=True)
class Document:
    """The table of a file, and its lines."""

    path: Path
    table: dict[str, Any]
    lines: dict[Key, int] = field(repr=False)

    def where(self, key: Sequence[str | int] = ()) -> str:
        """``file:line`` of a key, or of the nearest table around it that has a line."""
        for length in range(len(key), 0, -1):
            line = self.lines.get(tuple(key[:length]))
            if line is not None:
                return f"{self.path}:{line}"
        return str(self.path)

    @contextmanager
    def at(self, *key: str | int) -> Iterator[None]:
        """Errors of what is done inside are those of this key: its file and line are put before them."""
        try:
            yield
        except (ConfigError, TraceError) as error:
            raise type(error)(f"{self.where(key)}: {error}") from error


def _near(path: Path) -> str:
    """What may have been meant by a path that cannot be read."""
    if path.is_dir():
        inside = sorted(other.name for other in path.glob("*.toml"))
        return f"; in it: {', '.join(inside)}" if inside else ""
    return did_you_mean(path.name, (other.name for other in path.parent.glob("*.toml")))


def read_document(path: Path) -> Document:
    """Read a TOML file; :class:`ConfigError` naming file and line if it can't be read or isn't TOML."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}{_near(path)}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not a UTF-8 text file ({error.reason} at byte {error.start})") from None
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}{_syntax(str(error), text)}") from None
    return Document(path, table, dict(_lines(text)))


def _syntax(message: str, text: str) -> str:
    found = re.match(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", message)
    if found is None:
        return f": not a TOML file: {message}"
    lines = text.splitlines()
    line = int(found[2]) if found[2] else len(lines)
    shown = lines[line - 1].strip() if 0 < line <= len(lines) else ""
    return f":{line}: not a TOML file: {found[1]} (found {shown!r})"


def _lines(text: str) -> Iterator[tuple[Key, int]]:
    """Keys with their lines; of a value over several lines the first counts."""
    counts: dict[Key, int] = {}
    table: Key = ()
    seen: set[Key] = set()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := HEADER.match(line):
            table = _resolve(_parts(header[2]), counts)
            if header[1] == "[[":
                counts[table] = counts.get(table, -1) + 1
                table = (*table, counts[table])
            key = table
        elif assignment := ASSIGNMENT.match(line):
            key = (*table, *_parts(assignment[1]))
        else:
            continue
        for length in range(len(table) or 1, len(key) + 1):
            if key[:length] not in seen:
                seen.add(key[:length])
                yield key[:length], number


def _parts(dotted: str) -> list[str]:
    try:
        table: Any = tomllib.loads(f"{dotted} = 0")
    except tomllib.TOMLDecodeError:
        return [dotted.strip()]
    parts = []
    while isinstance(table, dict):
        name, table = next(iter(table.items()))
        parts.append(name)
    return parts


def _resolve(parts: Sequence[str], counts: dict[Key, int]) -> Key:
    """The place a table header names: below an array of tables it is in its last entry."""
    key: Key = ()
    for at, part in enumerate(parts):
        key = (*key, part)
        if key in counts and at < len(parts) - 1:
            key = (*key, counts[key])
    return key
