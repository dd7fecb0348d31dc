"""The roles a policy can play, one Protocol each.

A policy is a dataclass: its fields are its configuration keys, its state lives in ``field(init=False)``. Its answer
depends on its fields, on what it observed and on the view, and on nothing else (design law 1): no clock, no global
randomness, no SimPy. Every role may also define

* ``bind(context)``: called once before the run, with what it may know of the world besides the view;
* ``observe(event)``: called with each event of :mod:`simlora.events`, in order;
* ``observe_arrival(function, at_s)``: called with each arrival, before anything is decided about it;
* ``observe_served(request, first_token_s)``: called when a request has its last token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from simlora.actions import AdapterDemand, Binding, Demand, Dispatch, Eviction, Placement, Plan, Preempt, Route, Wait
from simlora.entities import Function, QueuedRequest
from simlora.events import Cause, CauseKind, Event
from simlora.views import ClusterView, GpuView, InstanceView, PlaceView, ReadyQueues

if TYPE_CHECKING:
    import numpy as np

    from simlora.policies.estimates import Estimates, Rates
    from simlora.policies.foresight import Future


class RoutingPolicy(Protocol):
    """Which instance takes this work: one request as it arrives, or a formed batch."""

    binding: Binding

    def route(self, work: Sequence[QueuedRequest], function: Function, view: ClusterView) -> Route: ...


class PlacementPolicy(Protocol):
    """Where a new instance goes: to one of ``places``; ``None`` if nowhere fits now.

    These, at least one, are the places with a slot for it (by ``limits.instances_per_gpu``), else those where something
    idle has one, and large enough for what is to run there first.
    """

    def place(self, function: Function, places: Sequence[PlaceView], view: ClusterView) -> Placement | None: ...


class BatchingPolicy(Protocol):
    """Who joins the running batch of ``at``; with ``at=None``: which batch to form of what waits at the front end."""

    def next_batch(self, at: InstanceView | None, ready: ReadyQueues, view: ClusterView) -> Dispatch | Wait: ...


class PlanPolicy(Protocol):
    """What to load, start, stop or evict ahead of demand. Causes within one planning interval come together."""

    causes: frozenset[CauseKind]

    def plan(self, causes: Sequence[Cause], view: ClusterView) -> Plan: ...


class OffloadPolicy(Protocol):
    """What must leave a GPU so that a start or a batch fits; too little is an honest answer, and it then waits."""

    def victims(self, demand: Demand, view: ClusterView) -> Sequence[Eviction]: ...


class AdapterPolicy(Protocol):
    """Which adapters that nobody uses leave an engine: at least ``need_bytes`` of those that may.

    It is asked when room is short and, if ``when_unused``, also when requests have left a batch.
    """

    when_unused: bool

    def leaving(self, demand: AdapterDemand, view: ClusterView) -> Sequence[Function]: ...


class PreemptionPolicy(Protocol):
    """Whose KV leaves when decoding outgrows memory."""

    def preempt(self, at: InstanceView, view: ClusterView) -> Preempt: ...


class KeepAlivePolicy(Protocol):
    """Until when each stage of an instance that has just become idle stays: (stage, absolute time), inf for ever."""

    def keep(self, instance: InstanceView, view: ClusterView) -> Sequence[tuple[str, float]]: ...


class ScalingPolicy(Protocol):
    """How many instances a function should have, starting ones included; asked every ``tick_s`` while it has work."""

    tick_s: float

    def desired(self, function: Function, view: ClusterView) -> int: ...


class Forecast(Protocol):
    """The arrival-rate estimator, shared by the policies of a system."""

    def observe_arrival(self, function: Function, at_s: float) -> None: ...
    def rate_per_s(self, function: Function, now_s: float) -> float: ...


class Predictor(Protocol):
    """How many tokens a request will produce, shared by the policies of a system: from 1 to ``max_new_tokens``."""

    def output_tokens(self, request: QueuedRequest) -> int: ...


@dataclass(frozen=True, slots=True)
class PolicyContext:
    """What a policy may know besides the view: estimates of durations, forecast and predictor, its own random stream,
    and what processes cost if the system names a price list.
    """

    functions: Sequence[Function]
    estimates: Estimates
    forecast: Forecast
    predictor: Predictor
    rng: np.random.Generator
    rates: Rates | None = None


@runtime_checkable
class Binds(Protocol):
    """A policy that wants its context."""

    def bind(self, context: PolicyContext) -> None: ...


@runtime_checkable
class Observes(Protocol):
    """A policy that wants to see what happens."""

    def observe(self, event: Event) -> None: ...


@runtime_checkable
class ObservesArrivals(Protocol):
    """A policy that wants to know when each function is called, as every forecast does."""

    def observe_arrival(self, function: Function, at_s: float) -> None: ...


@runtime_checkable
class TellsWhere(Protocol):
    """A placement policy whose ``None`` stands until a GPU changes that it ``could_use``.

    Where it would say no of every GPU it finds no place. Functions of one backbone with adapters of one size are alike
    to it. One that does not tell is asked again whenever memory is freed.
    """

    def could_use(self, function: Function, gpu: GpuView) -> bool: ...


@runtime_checkable
class Foresees(Protocol):
    """Told all requests before the run, for references. Only what has such a policy is excepted from design law 2."""

    def foresee(self, future: Future) -> None: ...


@runtime_checkable
class ObservesServed(Protocol):
    """A policy that wants to know how requests fared: when each that has ended had its first token."""

    def observe_served(self, request: QueuedRequest, first_token_s: float) -> None: ...


ROLES = {
    "routing": RoutingPolicy,
    "placement": PlacementPolicy,
    "batching": BatchingPolicy,
    "preloading": PlanPolicy,
    "rebalancing": PlanPolicy,
    "offloading": OffloadPolicy,
    "adapters": AdapterPolicy,
    "preemption": PreemptionPolicy,
    "keepalive": KeepAlivePolicy,
    "scaling": ScalingPolicy,
    "forecast": Forecast,
    "predictor": Predictor,
}

ASKED = {
    "routing": "route",
    "placement": "place",
    "batching": "next_batch",
    "preloading": "plan",
    "rebalancing": "plan",
    "offloading": "victims",
    "adapters": "leaving",
    "preemption": "preempt",
    "keepalive": "keep",
    "scaling": "desired",
    "forecast": "rate_per_s",
    "predictor": "output_tokens",
}
"""The question that each role answers."""
