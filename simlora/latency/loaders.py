"""How fast a loader moves an artifact between tiers (``loaders.toml``)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pydantic import Field, model_validator

from simlora.entities import Tier
from simlora.errors import ConfigError, unknown_name
from simlora.latency.sources import Sourced, read_toml

CATALOGUE = Path(__file__).with_name("loaders.toml")


class LoadPath(Sourced):
    """One way: fixed_s, then bytes at no more than bytes_per_s; the links it crosses may allow less."""

    source_tier: Tier
    to_tier: Tier
    fixed_s: float = Field(ge=0)
    bytes_per_s: float = Field(gt=0)

    @model_validator(mode="after")
    def _moves(self) -> LoadPath:
        if self.source_tier is self.to_tier:
            raise ValueError("source_tier and to_tier must differ")
        return self


class Loader(Sourced):
    """A program that loads checkpoints or adapters."""

    title: str
    path: tuple[LoadPath, ...] = Field(min_length=1)

    def between(self, source: Tier, to: Tier) -> LoadPath:
        """The way from ``source`` to ``to``; :class:`ConfigError` listing the ways there are if it has none."""
        for path in self.path:
            if path.source_tier is source and path.to_tier is to:
                return path
        ways = ", ".join(f"{path.source_tier} to {path.to_tier}" for path in self.path)
        raise ConfigError(f'loader "{self.title}" has no way from {source} to {to}; it has {ways}')


@cache
def loaders() -> dict[str, Loader]:
    """The shipped loaders by name."""
    return read_toml(CATALOGUE, dict[str, Loader])


def load_loader(name: str) -> Loader:
    """A shipped loader; :class:`ConfigError` with the nearest name otherwise."""
    if name not in loaders():
        raise unknown_name("loader", name, loaders())
    return loaders()[name]
