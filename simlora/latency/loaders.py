"""How fast a loader moves an artifact between tiers (``loaders.toml``)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from pydantic import Field, model_validator

from simlora.entities import Tier
from simlora.errors import ConfigError, unknown_name
from simlora.latency.sources import Label, Sourced, read_toml

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

    def with_own(self, bytes_per_s: float) -> LoadPath:
        """The same at a rate that is then whoever's who stated it."""
        stated = f"as stated in the experiment, in place of {self.bytes_per_s / 1e9:g} GB/s: {self.source}"
        own = {"bytes_per_s": bytes_per_s, "label": Label.ASSUMPTION, "source": stated}
        return self.model_copy(update=own)


class Loader(Sourced):
    """A program that loads checkpoints or adapters."""

    name: str = Field(default="", description="of its table in the catalogue")
    title: str
    path: tuple[LoadPath, ...] = Field(min_length=1)

    def with_own(self, own: Mapping[str, float]) -> Loader:
        """The same with other bytes a second on some ways, named as in ``ssd-to-device``.

        Raises :class:`ConfigError` for a way that it has not, naming the nearest.
        """
        ways = [f"{path.source_tier}-to-{path.to_tier}" for path in self.path]
        for way in own:
            if way not in ways:
                raise unknown_name(f"way of loader {self.name}", way, ways)
        paths = (p.with_own(own[way]) if way in own else p for p, way in zip(self.path, ways, strict=True))
        return self.model_copy(update={"path": tuple(paths)})

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
    found = read_toml(CATALOGUE, dict[str, Loader])
    return {name: loader.model_copy(update={"name": name}) for name, loader in found.items()}


def load_loader(name: str) -> Loader:
    """A shipped loader; :class:`ConfigError` with the nearest name otherwise."""
    if name not in loaders():
        raise unknown_name("loader", name, loaders())
    return loaders()[name]
