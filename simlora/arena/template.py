"""The experiment that an arena is: scenarios and systems put together from what ships beside this file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import tomli_w

from simlora.errors import unknown_name
from simlora.policies.base import ROLES, Foresees
from simlora.policies.registry import policies_of
from simlora.study.store import one_message
from simlora.systems import load_system

HERE = Path(__file__).parent
BOUND = "bound"
"""What nothing beats, on the engine of the role's system; its policies are never asked."""


@cache
def scenarios() -> dict[str, dict[str, Any]]:
    """The scenarios by name: a table of ``[[scenario]]`` each, and ``why`` it is there."""
    return {path.stem: tomllib.loads(path.read_text("utf-8")) for path in sorted((HERE / "scenarios").glob("*.toml"))}


class Ring(NamedTuple):
    """The shipped system in which a role's policies are exchanged, keys of it that are set otherwise, and traffic.

    ``traffic``: keys of every scenario that are set otherwise; its ``rate_scale`` multiplies that of the scenario.
    """

    base: str
    keys: Mapping[str, Any]
    traffic: Mapping[str, Any]

    def scenario(self, name: str) -> dict[str, Any]:
        """The ``[[scenario]]`` of this name as it is fought here."""
        table = {key: value for key, value in scenarios()[name].items() if key != "why"}
        rate_scale = table.get("rate_scale", 1.0) * self.traffic.get("rate_scale", 1.0)
        return {"name": name, **table, **self.traffic, "rate_scale": rate_scale}


def ring_of(role: str) -> Ring:
    """Where the policies of a role meet; :class:`ConfigError` for a role that does not exist."""
    if role not in ROLES:
        raise unknown_name("role", role, ROLES)
    table = tomllib.loads((HERE / "roles.toml").read_text(encoding="utf-8"))[role]
    return Ring(table["base"], table.get("set", {}), table.get("traffic", {}))


def references(role: str) -> list[str]:
    """The registered policies of the role that are told all calls beforehand: ranked, but nobody's rivals."""
    return [name for name, policy in policies_of(role).items() if issubclass(policy, Foresees)]


def name_of_yours(policy: str) -> str:
    """What the challenger is called in tables: the class, or the registered name, and whose it is."""
    return f"{policy.rpartition(':')[2]} (yours)"


def experiment(role: str, options: Mapping[str, Any], seeds: int) -> dict[str, Any]:
    """The table of the experiment file. ``options``: your policy's table; the registered ones have their defaults."""
    ring = ring_of(role)
    yours = name_of_yours(options["policy"])
    tables = {yours: dict(options), **{name: {"policy": name} for name in policies_of(role)}}
    fought = [ring.scenario(name) for name in scenarios()]
    return {
        "seeds": seeds,
        "functions": fought[0]["functions"],
        **tomllib.loads((HERE / "experiment.toml").read_text(encoding="utf-8")),
        "scenario": fought,
        "system": [
            *({"name": name, "base": ring.base, "fewest": False, **ring.keys, role: t} for name, t in tables.items()),
            {"name": BOUND, "base": BOUND, "engine": load_system(ring.base).engine},
        ],
    }


def write_experiment(table: Mapping[str, Any], out: Path) -> Path:
    """Write the file into the results folder, where it can be read, changed and run by itself."""
    path = out / "experiment.toml"
    with one_message(out):
        out.mkdir(parents=True, exist_ok=True)
        path.write_text(tomli_w.dumps(table), encoding="utf-8")
    return path
