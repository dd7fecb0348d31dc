"""The schema of a system file, and how one is built on another by overridden keys."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from simlora.errors import ConfigError, did_you_mean, unknown_name
from simlora.latency.loaders import Loader, load_loader
from simlora.policies.base import ROLES
from simlora.policies.registry import make_policy

HERE = Path(__file__).parent
PolicyTable = dict[str, Any]


class Limits(BaseModel):
    """Bounds of the mechanism; ``None`` is no bound."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    instances_per_function: int | None = Field(default=None, ge=1)
    instances_per_gpu: int | None = Field(default=None, ge=1)
    gpus: int | None = Field(default=None, ge=1, description="use only the cluster's first so many GPUs")
    queue_timeout_s: float | None = Field(default=None, gt=0)
    retries: int = Field(default=3, ge=0, description="how often a request whose work failed may start over")
    container_bytes: int = Field(default=32_000_000_000, gt=0)


class SystemConfig(BaseModel):
    """One system: mechanism facts, and a policy table for each role."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="constants")

    name: str
    title: str
    engine: str = Field(description="engine profile: host time, start-up stages")
    loader: str = Field(description="checkpoint loader, one of the engine profile's")
    loader_bytes_per_s: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] = Field(
        default={}, description="rates of its ways in place of the catalogue's, as in { ssd-to-device = 12e9 }"
    )
    sharing: Literal["none", "ipc", "in-process"]
    containers: Literal["dedicated", "shared", "packed"] = Field(
        description="dedicated: one process each; shared: an idle container may hold pre-loaded processes of several "
        "functions, and when one of them runs the others end; packed: they stay"
    )
    evaluation: Literal["simulation", "relaxation"] = Field(
        default="simulation", description="relaxation: computed as a bound, not run; its policies are never asked"
    )
    billing: Literal["serverless", "always-on", "reserved-plus-serverless", "cheapest"] = Field(
        description="cheapest: by either kind of list, to the instant, for bounds"
    )
    reserved_gpus: int = Field(
        default=0, ge=0, description="the cluster's first so many are reserved; all are where a system is always on"
    )
    reserve: Literal["max_new_tokens", "prompt"] = Field(description="KV bytes reserved when a request is admitted")
    adapter_memory: Literal["slots", "paged"] = Field(
        default="slots",
        description="where an engine for many functions holds adapters: in slots as wide as the widest, or paged in "
        "the pool that KV lies in, each as wide as it is",
    )
    adapter_loading: Literal["blocking", "overlapped", "cpu-assisted"] = Field(
        default="blocking",
        description="what a missing adapter does to a running batch: it stops; it goes on and the request joins later; "
        "the request joins at once, its LoRA computed on the host meanwhile",
    )
    completion: Literal["own_end", "batch_end"] = Field(description="when a request of a batch is answered")
    host_cache_fraction: float = Field(ge=0, le=1, description="share of a node's memory that caches checkpoints")
    host_copies: Literal["used", "all"] = Field(
        default="used", description="what the cache holds at the start: nothing, or all the functions' models"
    )
    storage: Literal["fair", "fifo"] = Field(
        default="fair", description="whether loads from one node's storage share it or queue for it"
    )
    backbone_keepalive_s: float = Field(
        default=60.0, ge=0, description="how long a shared backbone stays after its last mapper"
    )
    on_failure: Literal["retry", "reject", "fail"] = Field(
        default="retry", description="what becomes of a request whose work failed; beyond limits.retries it fails"
    )
    plan_interval_s: float = Field(default=1.0, gt=0)
    price: str | None = Field(
        default=None, description="the price list that its policies weigh, where they do; bills are another matter"
    )
    limits: Limits = Limits()

    routing: PolicyTable
    placement: PolicyTable
    batching: PolicyTable
    preloading: PolicyTable = {"policy": "none"}
    rebalancing: PolicyTable = {"policy": "none"}
    offloading: PolicyTable = {"policy": "none"}
    adapters: PolicyTable = {"policy": "lru"}
    preemption: PolicyTable = {"policy": "newest"}
    keepalive: PolicyTable
    scaling: PolicyTable = {"policy": "on-demand"}
    forecast: PolicyTable = {"policy": "sliding-window"}
    predictor: PolicyTable = {"policy": "max-new-tokens"}

    @model_validator(mode="after")
    def _growth_has_its_own_pool(self) -> SystemConfig:
        if self.reserve == "prompt" and self.sharing != "in-process":
            raise ValueError('reserve = "prompt" lets KV grow, which needs a pool of its own: sharing = "in-process"')
        return self

    @model_validator(mode="after")
    def _reserves_as_it_is_billed(self) -> SystemConfig:
        if bool(self.reserved_gpus) is not (self.billing == "reserved-plus-serverless"):
            raise ValueError(
                'reserved_gpus goes with billing = "reserved-plus-serverless" and is at least 1 there '
                f'(found {self.reserved_gpus} and "{self.billing}")'
            )
        return self

    def loads_with(self) -> Loader:
        """Its loader at the rates that count; raises :class:`ConfigError` for one or a way that does not exist."""
        return load_loader(self.loader).with_own(self.loader_bytes_per_s)

    def reserves(self, gpus: int) -> int:
        """How many of so many GPUs it reserves."""
        return gpus if self.billing == "always-on" else self.reserved_gpus

    @field_validator(*ROLES, mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        return {"policy": value} if isinstance(value, str) else value


def list_systems() -> dict[str, Path]:
    """The shipped systems by name."""
    return {path.stem: path for path in sorted(HERE.glob("*.toml"))}


def list_bounds() -> dict[str, Path]:
    """The shipped relaxations by name: an experiment may name them like systems."""
    return {path.stem: path for path in sorted(HERE.glob("bounds/*.toml"))}


def load_system(name: str, overrides: Mapping[str, Any] | None = None, where: str = "") -> SystemConfig:
    """A shipped system with some keys overridden; policy tables are replaced whole if they name another policy.

    Raises :class:`ConfigError` naming the key, the value and what is allowed.
    """
    shipped = {**list_systems(), **list_bounds()}
    if name not in shipped:
        raise unknown_name("system", name, shipped, where)
    values: dict[str, Any] = {"name": name, **tomllib.loads(shipped[name].read_text())}
    for key, value in (overrides or {}).items():
        override(values, key, value)
    return parse_system(values, where or f"system {name}")


def override(values: dict[str, Any], key: str, value: Any) -> None:
    head, _, rest = key.partition(".")
    if rest:
        inner = values.setdefault(head, {})
        values[head] = inner = {"policy": inner} if isinstance(inner, str) else dict(inner)
        override(inner, rest, value)
    elif isinstance(value, Mapping) and isinstance(values.get(head), Mapping):
        same_policy = value.get("policy", values[head].get("policy")) == values[head].get("policy")
        values[head] = {**values[head], **value} if same_policy else dict(value)
    else:
        values[head] = value


def parse_system(values: Mapping[str, Any], where: str) -> SystemConfig:
    """Validate a table as a system; the first thing wrong with it is the message."""
    try:
        return SystemConfig.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if not key:
            raise ConfigError(f"{where}: {first['msg'].removeprefix('Value error, ')}") from None
        if first["type"] == "extra_forbidden":
            fields = Limits.model_fields if key.startswith("limits.") else SystemConfig.model_fields
            raise ConfigError(f'{where}: no key "{key}"{did_you_mean(key.rpartition(".")[2], fields)}') from None
        raise ConfigError(f"{where}: {key}: {first['msg']} (found {first.get('input')!r})") from None


def build_policies(system: SystemConfig, base_dir: Path) -> dict[str, Any]:
    """A fresh policy object for each role of the system."""
    where = f'system "{system.name}"'
    return {role: make_policy(role, getattr(system, role), base_dir, where) for role in ROLES}
