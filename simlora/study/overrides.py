"""Dotted keys over an experiment file: ``--set`` on the command line, ``[sweep]``, and ``[[variation]]``.

A key is ``cluster.KEY``, ``functions.KEY`` (where the file describes the table), ``scenario.KEY`` (of every one) or
``scenario.NAME.KEY``, ``system.KEY`` (of every system and ablation) or ``system.NAME.KEY``, where KEY may go on into a
policy's table (``system.ours.keepalive.idle_s``), or one of the file's plain keys.
"""

from __future__ import annotations

import copy
import itertools
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from simlora.cluster.config import ClusterConfig
from simlora.errors import ConfigError, did_you_mean
from simlora.study.document import Document
from simlora.study.generated import GeneratedFunctions
from simlora.systems.config import SystemConfig, override
from simlora.workload.catalogue import trace_keys

PLAIN_KEYS = ("cell_timeout_s", "functions", "horizon_s", "prices", "profile", "provider", "seeds", "slo")
SCENARIO_KEYS = ("cluster", "duration_s", "functions", "lengths", "rate_scale", "trace")
BASE = "base"
NOT_SWEPT = ("cell_timeout_s", "prices", "provider", "seeds")
SYSTEM_KEYS = tuple(key for key in SystemConfig.model_fields if key not in {"name", "title"})


class Setting(NamedTuple):
    """``--set key=value,value``."""

    key: str
    values: tuple[Any, ...]


def parse_setting(text: str) -> Setting:
    """``key=v`` or ``key=v,v2``; a value is TOML (``4``, ``0.5``, ``true``, ``{policy = "none"}``) or else a word."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip() or not value.strip():
        raise ConfigError(f"--set {text}: expected key=value, or key=value,value to sweep over")
    try:
        values = tomllib.loads(f"values = [{value}]")["values"]
    except tomllib.TOMLDecodeError:
        values = [_word(word.strip()) for word in value.split(",")]
    return Setting(key.strip(), tuple(values))


def _word(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def apply_settings(document: Document, settings: Sequence[Setting]) -> Document:
    """The document with each setting in it: one value replaces a key, several make it an axis of the sweep."""
    table = copy.deepcopy(document.table)
    for key, values in settings:
        if key in {"seeds", "prices"}:
            table[key] = values[0] if len(values) == 1 and isinstance(values[0], int) else list(values)
        elif len(values) == 1:
            put(table, key, values[0], "--set")
        else:
            table.setdefault("sweep", {})[key] = list(values)
    return Document(document.path, table, document.lines)


def points_of(document: Document) -> Iterator[tuple[str, Document]]:
    """Each point by name, as a document of its own: those of the sweep, or ``base`` and each variation of it."""
    if document.table.get("sweep"):
        yield from _sweep_points(document)
        return
    yield BASE, document
    for at, variation in enumerate(document.table.get("variation", [])):
        table = copy.deepcopy(document.table)
        for key, value in variation["set"].items():
            put(table, key, value, f"{document.where(('variation', at, 'set'))}: variation")
        yield f"{variation['of']}={variation['to']}", Document(document.path, table, document.lines)


def _sweep_points(document: Document) -> Iterator[tuple[str, Document]]:
    sweep = document.table["sweep"]
    for key, values in sweep.items():
        where = document.where(("sweep", key))
        if key in NOT_SWEPT:
            raise ConfigError(f"{where}: sweep: {key} holds for a whole experiment and can't be swept")
        if not values:
            raise ConfigError(f'{where}: sweep: "{key}" lists no value')
    names: dict[str, None] = {}
    for values in itertools.product(*sweep.values()):
        table = copy.deepcopy(document.table)
        for key, value in zip(sweep, values, strict=True):
            put(table, key, value, f"{document.where(('sweep', key))}: sweep")
        name = ",".join(f"{key}={_shown(value)}" for key, value in zip(sweep, values, strict=True))
        if name in names:
            raise ConfigError(f'{document.where(("sweep",))}: sweep: the point "{name}" occurs twice')
        names[name] = None
        yield name, Document(document.path, table, document.lines)


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return "".join("_" if c in '/\\:*?"<>|{}[], ' else c for c in text)


def put(table: dict[str, Any], key: str, value: Any, where: str) -> None:
    """Set a dotted key in an experiment's table; :class:`ConfigError` with the nearest key there is."""
    head, _, rest = key.partition(".")
    if head in PLAIN_KEYS and not rest:
        table[head] = value
    elif head == "cluster" and rest in ClusterConfig.model_fields:
        table["cluster"] = {**table.get("cluster", {}), rest: value}
    elif head == "functions" and rest in GeneratedFunctions.model_fields:
        if not isinstance(table.get("functions"), dict):
            raise ConfigError(f"{where}: {key} needs functions = {{ count = ..., backbones = [...] }} (found a file)")
        table["functions"] = {**table["functions"], rest: value}
    elif head == "scenario" and rest:
        entries, inner = _entries(table.get("scenario", []), rest)
        if inner in trace_keys():
            of_trace = f"{key.removesuffix(inner)}trace.{inner}"
            raise ConfigError(f'{where}: no key "{key}"; it is one of the trace: did you mean "{of_trace}"?')
        _check(inner, SCENARIO_KEYS, key, where)
        for entry in entries:
            _put_in_scenario(entry, inner, value)
    elif head == "system" and rest:
        systems = [*table.get("system", []), *table.get("ablation", [])]
        entries, inner = _entries(systems, rest)
        _check(inner, SYSTEM_KEYS, key, where)
        for entry in entries:
            _put_in_system(entry, inner, value)
    else:
        raise ConfigError(f'{where}: no key "{key}"{did_you_mean(key, _allowed())}')


def _allowed() -> list[str]:
    cluster = [f"cluster.{key}" for key in ClusterConfig.model_fields]
    scenario, system = ([f"scenario.{key}" for key in SCENARIO_KEYS], [f"system.{key}" for key in SYSTEM_KEYS])
    functions = [f"functions.{key}" for key in GeneratedFunctions.model_fields]
    return [*PLAIN_KEYS, *cluster, *functions, *scenario, *system]


def _entries(entries: Sequence[dict[str, Any]], rest: str) -> tuple[Sequence[dict[str, Any]], str]:
    """The one entry that ``rest`` names and the key in it, or all entries and ``rest``."""
    for entry in entries:
        name = entry.get("use", entry.get("name", ""))
        if rest.startswith(f"{name}."):
            return [entry], rest.removeprefix(f"{name}.")
    return entries, rest


def _check(inner: str, allowed: Sequence[str], key: str, where: str) -> None:
    head = inner.partition(".")[0]
    if head not in allowed:
        raise ConfigError(f'{where}: no key "{key}": "{head}" is neither a name nor a key{did_you_mean(head, allowed)}')


def _put_in_scenario(entry: dict[str, Any], key: str, value: Any) -> None:
    head, _, rest = key.partition(".")
    if rest and isinstance(entry.get(head), str):
        entry[head] = {"name": entry[head]}
    override(entry, key, value)


def _put_in_system(entry: dict[str, Any], key: str, value: Any) -> None:
    if "set" in entry:
        override(entry["set"], key, value)
        return
    if "use" in entry:
        entry["name"] = entry["base"] = entry.pop("use")
    override(entry, key, value)


def layered(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Overrides put over one another, the later ones last; policy tables merge while they name one policy."""
    values: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            override(values, key, value)
    return values
