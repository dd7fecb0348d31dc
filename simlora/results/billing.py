"""From usage to dollars: a usage table, a price list, and the rules by which it is metered.

Usage is clipped to the window [0, window_s] in which all systems of a comparison are billed. A *life* is a
stretch in which one holder (an instance, a backbone process, or under ``card`` lists a card with anything on
it) is billed without a gap; each is rounded up to the list's granularity, and to its minimum, after clipping;
the seconds so added cost what the life's last second cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np
import pyarrow as pa

from simlora.errors import ConfigError
from simlora.results.occupancy import Occupancy, clipped, occupancy, on_reserved
from simlora.results.prices import WAYS, Billing, GpuPrice, Price
from simlora.results.tables import Bools, Floats, Ints, numbers, words

TOUCHING_S = 1e-9
"""Rows of one holder that are no further apart belong to one life; times are sums of floats."""


@dataclass(frozen=True)
class Bill:
    """What a run cost, in USD; the parts add up to the total.

    ``gpu_active``, ``gpu_idle`` and ``startup``: device time of instances (or cards, or reserved GPUs) by what they
    did; ``backbone``: that of shared backbone processes, whatever they did; ``host``: memory and processors.
    """

    gpu_active_usd: float = 0.0
    gpu_idle_usd: float = 0.0
    startup_usd: float = 0.0
    backbone_usd: float = 0.0
    host_usd: float = 0.0
    requests_usd: float = 0.0

    @property
    def total_usd(self) -> float:
        """The sum of all parts."""
        gpu_usd = self.gpu_active_usd + self.gpu_idle_usd + self.startup_usd + self.backbone_usd
        return gpu_usd + self.host_usd + self.requests_usd

    def __add__(self, other: Bill) -> Bill:
        return Bill(*(mine + its for mine, its in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True)
class _Rates:
    """USD per second of each GPU (or a GB on it), in the order of the GPUs."""

    active_usd_per_s: Floats
    idle_usd_per_s: Floats

    @classmethod
    def of(cls, prices: Sequence[GpuPrice]) -> _Rates:
        return cls(*np.array(prices, np.float64).reshape(-1, 2).T)

    def least(self) -> _Rates:
        """Every GPU at the rates of the cheapest."""
        return _Rates(*(np.full_like(rates, rates.min()) for rates in (self.active_usd_per_s, self.idle_usd_per_s)))


@dataclass(frozen=True)
class _Metered:
    """Rows of holders with their state and what they held; ``seconds`` are the billed ones, rounding included."""

    gpu: Ints
    seconds: Floats
    active: Bools
    starting: Bools
    device_gb: Floats
    backbone: Bools

    def usd(self, rates: _Rates, rows: Bools) -> float:
        """Device cost of some of the rows."""
        working, gpu = self.active | self.starting, self.gpu
        rate = np.where(working, rates.active_usd_per_s[gpu], rates.idle_usd_per_s[gpu])
        return float(np.sum((self.seconds * rate * self.device_gb)[rows]))


def bill(
    usage: pa.Table,
    price: Price,
    gpu_models: Sequence[str],
    requests: int,
    window_s: float,
    billing: Billing,
) -> Bill:
    """The cost of a run's ``usage`` over [0, window_s] under ``price``; ``gpu_models``: that of each GPU, in order.

    ``requests``: those offered that reached an instance that the list bills; each costs its invocation fee. Where some
    GPUs are reserved (``billing = "reserved-plus-serverless"``), a serverless list bills what is on the others. A bound
    is billed by either kind of list (``billing = "cheapest"``), at the rates of the cheapest GPU, without rounding and
    minimum.
    Raises :class:`ConfigError` if the list has no rate for a GPU, or is not of the kind that ``billing`` needs.
    """
    if not any(price.kind in kinds for kinds in WAYS[billing]):
        raise ConfigError(f'{price.title}: a list of kind "{price.kind}" can\'t bill {billing} systems')
    rate = _Rates.of([price.gpu(model) for model in gpu_models])
    if billing == "cheapest":
        rate = rate.least()
        price = price.model_copy(update={"granularity_s": 0.0, "minimum_s": 0.0})
    if billing == "reserved-plus-serverless" and price.kind == "serverless":
        usage = usage.filter(pa.array(~on_reserved(usage, usage)))
    rows = clipped(usage, window_s)
    requests_usd = requests * price.credits_per_request * price.credit_usd
    if price.kind == "reserved":
        return Bill(gpu_active_usd=_reserved_usd(rows, price, rate), requests_usd=requests_usd)
    usage = usage.filter(pa.array(~words(usage, "state").are("reserved")))
    processes = _processes(rows, price)
    host_usd = _host_usd(rows, processes, price)
    if price.unit == "card":
        return _of(_cards(occupancy(usage, window_s), price), rate, 0.0, host_usd, requests_usd)
    backbone_usd = 0.0
    if price.shared_backbone == "separate":
        backbone_usd = processes.usd(rate, processes.backbone)
    elif price.shared_backbone == "split":
        backbone_usd = _split_usd(occupancy(usage, window_s), price, rate)
    return _of(processes, rate, backbone_usd, host_usd, requests_usd)


def _of(metered: _Metered, rate: _Rates, backbone_usd: float, host_usd: float, requests_usd: float) -> Bill:
    own = ~metered.backbone
    return Bill(
        gpu_active_usd=metered.usd(rate, own & metered.active),
        gpu_idle_usd=metered.usd(rate, own & ~metered.active & ~metered.starting),
        startup_usd=metered.usd(rate, own & metered.starting),
        backbone_usd=backbone_usd,
        host_usd=host_usd,
        requests_usd=requests_usd,
    )


def _reserved_usd(rows: pa.Table, price: Price, rate: _Rates) -> float:
    reserved = words(rows, "state").are("reserved")
    from_s, to_s = numbers(rows, "from_s")[reserved], numbers(rows, "to_s")[reserved]
    gpu = numbers(rows, "gpu")[reserved].astype(np.int64)
    return float(np.sum(_billed_s(gpu, from_s, to_s, price) * rate.active_usd_per_s[gpu]))


def _processes(rows: pa.Table, price: Price) -> _Metered:
    """Instances and backbone processes, each metered on its own."""
    holder, state = words(rows, "holder"), words(rows, "state")
    ids, gpu = numbers(rows, "id").astype(np.int64), numbers(rows, "gpu").astype(np.int64)
    key = np.unique(np.column_stack([holder.codes, ids, gpu]), axis=0, return_inverse=True)[1].reshape(-1)
    starting, mine = state.are("starting"), holder.are("instance", "backbone")
    billed = mine & (price.startup_billed | ~starting)
    seconds = np.zeros(len(billed))
    seconds[billed] = _billed_s(key[billed], numbers(rows, "from_s")[billed], numbers(rows, "to_s")[billed], price)
    device_gb = numbers(rows, "device_bytes") / price.gb_bytes
    return _Metered(gpu, seconds, state.are("busy"), starting, device_gb, holder.are("backbone"))


def _cards(use: Occupancy, price: Price) -> _Metered:
    """Cards with anything on them: active while any instance runs, else starting while a billed start is under way."""
    active = use.busy > 0
    starting = (
        ~active
        & (use.starting + use.backbones_starting > 0)
        & (price.startup_billed | (use.idle + use.backbones_idle + use.backbones_busy == 0))
    )
    billed = price.startup_billed | ~starting
    seconds = np.zeros(len(billed))
    seconds[billed] = _billed_s(use.gpu[billed], use.from_s[billed], use.to_s[billed], price)
    return _Metered(use.gpu, seconds, active, starting, np.ones(len(billed)), np.zeros(len(billed), np.bool_))


def _billed_s(key: Ints, from_s: Floats, to_s: Floats, price: Price) -> Floats:
    """Billed seconds of each row: its own, and on a life's last row what rounding adds to the life."""
    order = np.lexsort((from_s, key))
    begins, ends = from_s[order], to_s[order]
    seconds = ends - begins
    if seconds.size == 0:
        return seconds
    first = np.concatenate([[True], (np.diff(key[order]) != 0) | (begins[1:] - ends[:-1] > TOUCHING_S)])
    starts = np.flatnonzero(first)
    lasts = np.append(starts[1:], len(first)) - 1
    lives_s = np.add.reduceat(seconds, starts)
    seconds[lasts] += np.maximum(_rounded_up(lives_s, price.granularity_s), price.minimum_s) - lives_s
    billed = np.empty_like(seconds)
    billed[order] = seconds
    return billed


def _rounded_up(seconds: Floats, granularity_s: float) -> Floats:
    if granularity_s == 0:
        return seconds
    return np.maximum(np.ceil((seconds - TOUCHING_S) / granularity_s) * granularity_s, seconds)


def _host_usd(rows: pa.Table, processes: _Metered, price: Price) -> float:
    """Memory of every process while it is billed; processors of instances, at the rate of what they do."""
    host = price.host
    memory_gb_s = processes.seconds * (numbers(rows, "host_bytes") / price.gb_bytes)
    cpu_rate = np.where(
        processes.active | processes.starting, host.cpu_active_credits_per_s, host.cpu_idle_credits_per_s
    )
    cpu_credits = (processes.seconds * cpu_rate * host.cpus_per_instance)[~processes.backbone]
    return float((memory_gb_s.sum() * host.memory_credits_per_gb_s + cpu_credits.sum()) * price.credit_usd)


def _split_usd(use: Occupancy, price: Price, rate: _Rates) -> float:
    """Backbone bytes paid in equal parts by the instances on the card; not rounded, for no process is metered."""
    there = use.instances > 0
    working = use.busy + use.starting * price.startup_billed
    usd_per_s = working * rate.active_usd_per_s[use.gpu] + use.idle * rate.idle_usd_per_s[use.gpu]
    gb = use.backbone_bytes / price.gb_bytes
    return float(np.sum((use.seconds * gb * usd_per_s)[there] / use.instances[there]))
