"""Platforms that rent GPUs by the second, as presets: limits with their sources, and the price list that goes along.

A preset is a TOML file (``providers/*.toml`` or the user's own). What no source states is left out, and the system's
own key holds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

from simlora.errors import unknown_name
from simlora.latency.sources import Sourced, read_toml
from simlora.systems import SystemConfig

HERE = Path(__file__).parent / "providers"
RENTING = ("serverless", "reserved-plus-serverless")


class Provider(Sourced):
    """One platform. ``source``, ``valid`` and ``label`` say where its figures come from and when they held."""

    title: str = Field(min_length=1)
    price: str | None = Field(default=None, description="price list; none: the experiment names one")
    idle_timeout_s: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    workers: int | None = Field(default=None, ge=1, description="instances that one endpoint may have at a time")

    def keys(self, system: SystemConfig) -> dict[str, Any]:
        """What a system that rents runs with there. The time-out is its keep-alive's where that is a number of seconds:
        a policy that decides by itself how long an instance stays is not overruled."""
        keys: dict[str, Any] = {}
        if system.billing not in RENTING:
            return keys
        if self.idle_timeout_s is not None and "idle_s" in system.keepalive:
            keys["keepalive.idle_s"] = self.idle_timeout_s
        if self.workers is not None:
            keys["limits.instances_per_function"] = self.workers
        return keys


def list_providers() -> dict[str, Provider]:
    """The shipped presets by name."""
    return {path.stem: read_toml(path, Provider) for path in sorted(HERE.glob("*.toml"))}


def load_provider(name: str, base_dir: Path = Path()) -> Provider:
    """A shipped preset, or one's own by the path of a TOML file (relative to ``base_dir``).

    Raises :class:`ConfigError` for an unknown name, or naming the file and the key that does not fit.
    """
    if name.endswith(".toml"):
        return read_toml(base_dir / name, Provider)
    known = [path.stem for path in HERE.glob("*.toml")]
    if name not in known:
        raise unknown_name("provider", name, known)
    return read_toml(HERE / f"{name}.toml", Provider)
