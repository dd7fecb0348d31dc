"""Price lists: what a second of a GPU, of memory and of a processor costs, and by which rules it is metered.

A list is a TOML file (``prices/*.toml`` or the user's own). A figure that no source states is left out; asking
for it is an error that names the figures there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from simlora.errors import ConfigError, unknown_name
from simlora.latency.sources import Sourced, read_toml
from simlora.views import GpuView

HERE = Path(__file__).parent / "prices"
Billing = Literal["serverless", "always-on", "reserved-plus-serverless", "cheapest"]
WAYS: dict[Billing, tuple[tuple[str, ...], ...]] = {
    "serverless": (("serverless",),),
    "always-on": (("reserved",),),
    "reserved-plus-serverless": (("reserved", "serverless"),),
    "cheapest": (("serverless",), ("reserved",)),
}
"""The ways in which a system can be billed, each by one list of each of these kinds."""


class GpuRate(BaseModel):
    """Credits for ``cards`` cards (or a GB on one) for ``per_s`` seconds; ``idle`` unset: no discount."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    active_credits: float = Field(ge=0)
    idle_credits: float | None = Field(default=None, ge=0)
    cards: int = Field(default=1, ge=1, description="cards in the machine that the rate is for")
    per_s: float = Field(default=1.0, gt=0)


class HostRate(BaseModel):
    """Credits for the host's side of one instance; all 0 where the GPU's rate includes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    memory_credits_per_gb_s: float = Field(default=0.0, ge=0)
    cpu_unit: str = Field(default="vCPU", description="what the list counts: vCPU or physical core")
    cpu_active_credits_per_s: float = Field(default=0.0, ge=0)
    cpu_idle_credits_per_s: float = Field(default=0.0, ge=0)
    cpus_per_instance: float = Field(default=0.0, ge=0, description="assumption: no system states it")


class GpuPrice(NamedTuple):
    """USD per second of one card or of one GB on it."""

    active_usd_per_s: float
    idle_usd_per_s: float


@dataclass(frozen=True)
class ProcessRates:
    """What a process that has its bytes to itself costs by a price list (implements ``simlora.policies`` ``Rates``).

    Under a ``card`` list it pays for its card, however little it holds. ``gpus``: the rates of each GPU model.
    """

    price: Price
    gpus: Mapping[str, GpuPrice]

    def starting_usd_per_s(self, gpu: GpuView, device_bytes: int, host_bytes: int) -> float:
        """While it starts; nothing where start-up is not billed."""
        if not self.price.startup_billed:
            return 0.0
        cpu_per_s = self.price.host.cpu_active_credits_per_s
        return self._usd_per_s(self.gpus[gpu.kind].active_usd_per_s, cpu_per_s, device_bytes, host_bytes)

    def idle_usd_per_s(self, gpu: GpuView, device_bytes: int, host_bytes: int) -> float:
        """While it stands idle."""
        cpu_per_s = self.price.host.cpu_idle_credits_per_s
        return self._usd_per_s(self.gpus[gpu.kind].idle_usd_per_s, cpu_per_s, device_bytes, host_bytes)

    def _usd_per_s(self, gpu_usd_per_s: float, cpu_per_s: float, device_bytes: int, host_bytes: int) -> float:
        price, host = self.price, self.price.host
        share = device_bytes / price.gb_bytes if price.unit == "gb" else 1.0
        credits = host.memory_credits_per_gb_s * host_bytes / price.gb_bytes + cpu_per_s * host.cpus_per_instance
        return gpu_usd_per_s * share + credits * price.credit_usd


class Price(Sourced):
    """One price list. ``source``, ``valid`` and ``label`` say where its figures come from and when they held.

    ``kind``: ``serverless`` lists bill instances while they are there; ``reserved`` ones bill whole GPUs for the
    whole window. ``unit``: a ``gb`` list bills each process for the device bytes it holds; a ``card`` list
    bills a card once while anything is on it, however many share it.

    ``shared_backbone`` says who pays for the bytes of a backbone process under a ``gb`` list. ``separate``: it
    is billed like an instance of its own bytes, active while one of its functions runs. ``split``: the
    instances on its card pay equal parts, each at the rate of its own state, and the platform pays while there
    are none. ``platform``: the platform pays.
    """

    title: str = Field(min_length=1)
    base: str | None = Field(default=None, description="the shipped list whose other keys hold here too")
    date: str = Field(min_length=1)
    region: str = Field(min_length=1)
    commitment: str = Field(min_length=1)
    currency: Literal["USD"] = "USD"
    kind: Literal["serverless", "reserved"]
    unit: Literal["card", "gb"]
    credit_usd: float = Field(default=1.0, gt=0, description="all rates are in credits; 1 where they are in USD")
    gb_bytes: int = Field(default=1 << 30, gt=0)
    granularity_s: float = Field(ge=0, description="each life is rounded up to a multiple of this")
    minimum_s: float = Field(default=0.0, ge=0, description="each life costs at least this long")
    startup_billed: bool = Field(description="whether a starting instance is billed, at the active rate")
    shared_backbone: Literal["platform", "split", "separate"] = "separate"
    credits_per_request: float = Field(default=0.0, ge=0)
    host: HostRate = HostRate()
    gpus: dict[str, GpuRate]

    def gpu(self, model: str) -> GpuPrice:
        """The price of a GPU model; :class:`ConfigError` naming those that the list has."""
        if model not in self.gpus:
            raise ConfigError(f'{self.title} has no price for GPU "{model}"; it has: {", ".join(sorted(self.gpus))}')
        rate = self.gpus[model]
        usd_per_s = self.credit_usd / (rate.cards * rate.per_s)
        return GpuPrice(
            rate.active_credits * usd_per_s,
            (rate.active_credits if rate.idle_credits is None else rate.idle_credits) * usd_per_s,
        )

    def rates(self, models: Iterable[str]) -> ProcessRates:
        """What processes on these GPU models cost; :class:`ConfigError` as for :meth:`gpu`."""
        return ProcessRates(self, {model: self.gpu(model) for model in models})


def list_prices() -> dict[str, Price]:
    """The shipped price lists by name."""
    return {name: load_price(name) for name in _names()}


def load_price(name: str, base_dir: Path = Path()) -> Price:
    """A shipped price list, or one's own by the path of a TOML file (relative to ``base_dir``).

    A file with ``base = "..."`` states only what differs from a shipped list. Raises :class:`ConfigError` for an
    unknown name, or naming the file and the key that does not fit.
    """
    path = base_dir / name if name.endswith(".toml") else _shipped(name)
    table: dict[str, Any] = read_toml(path, dict)
    if "base" not in table:
        return read_toml(path, Price)
    return read_toml(path, Price, **read_toml(_shipped(table["base"], str(path)), dict))


def _shipped(name: str, where: str = "") -> Path:
    if name not in _names():
        raise unknown_name("price list", name, _names(), where)
    return HERE / f"{name}.toml"


def _names() -> list[str]:
    return sorted(path.stem for path in HERE.glob("*.toml"))


def price_ways(prices: Mapping[str, Price], billing: Billing) -> dict[str, tuple[Price, ...]]:
    """Every way to bill such a system by these lists, under their names."""
    ways: dict[str, tuple[Price, ...]] = {}
    for kinds in WAYS[billing]:
        of_kind = ([(name, price) for name, price in prices.items() if price.kind == kind] for kind in kinds)
        for together in product(*of_kind):
            ways[" + ".join(name for name, _ in together)] = tuple(price for _, price in together)
    return ways


def choose_prices(prices: Sequence[Price], billing: Billing) -> list[tuple[Price, ...]]:
    """The ways that apply to a system, by the first list of each kind; it pays the least of them.

    Raises :class:`ConfigError` where the experiment names none of a kind it needs.
    """
    firsts: dict[str, Price] = {price.kind: price for price in reversed(prices)}
    if ways := price_ways(firsts, billing):
        return list(ways.values())
    kinds = dict.fromkeys(kind for way in WAYS[billing] for kind in way)
    wanted = (" or " if len(WAYS[billing]) > 1 else " and ").join(f'"{kind}"' for kind in kinds)
    shipped = ", ".join(name for name, price in list_prices().items() if price.kind in kinds)
    named = ", ".join(f'"{price.title}"' for price in prices) or "none"
    raise ConfigError(f"prices: {billing} systems need a list of kind {wanted} (found {named}); shipped: {shipped}")
