"""Routing by numbers made from names: the same few replicas for a function, or two picked by the request."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from simlora.actions import Binding, Route, ToInstance
from simlora.entities import Function, QueuedRequest
from simlora.names import number_of
from simlora.policies.base import PolicyContext
from simlora.policies.registry import register
from simlora.policies.routing.by_load import NEW
from simlora.views import ClusterView, InstanceView


def _least_loaded(instances: Iterable[InstanceView], why: str) -> Route:
    least = min(instances, key=lambda i: (i.bound + len(i.running), i.id), default=None)
    return ToInstance(least, why) if least is not None else NEW


@register("routing", "rendezvous")
@dataclass
class Rendezvous:
    """At arrival, of the ``replicas`` instances that rank highest for the function the one with the fewest requests.

    An instance's rank is a number made from both names, so an instance that comes or goes moves only the functions that
    rank it among their first. Source: rendezvous hashing (Thaler and Ravishankar, 1998) to n replicas, as NVIDIA Dynamo
    places adapters (ai-dynamo/dynamo, pull request 8177).
    """

    replicas: int = 2
    binding: Binding = field(default=Binding.ON_ARRIVAL, init=False)
    _ranks: dict[tuple[Function, int], int] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        if self.replicas < 1:
            raise ValueError(f"replicas must be at least 1 (found {self.replicas})")

    def route(self, work: Sequence[QueuedRequest], function: Function, view: ClusterView) -> Route:
        there = view.instances_of(function).values()
        ranked = sorted(there, key=lambda i: (-self._rank(function, i.id), i.id))
        return _least_loaded(ranked[: self.replicas], "ranks highest for it")

    def _rank(self, function: Function, instance: int) -> int:
        rank = self._ranks.get((function, instance))
        if rank is None:
            rank = self._ranks[function, instance] = number_of(function.id, instance)
        return rank


@register("routing", "power-of-two")
@dataclass
class PowerOfTwo:
    """At arrival, of ``choices`` instances drawn at random the one with the fewest requests outstanding.

    The draw belongs to the request and to the run's seed: asked again about it, the policy draws the same. Source: the
    power of two choices (Mitzenmacher, 2001).
    """

    choices: int = 2
    binding: Binding = field(default=Binding.ON_ARRIVAL, init=False)
    _seed: int = field(init=False, repr=False, compare=False, default=0)

    def __post_init__(self) -> None:
        if self.choices < 1:
            raise ValueError(f"choices must be at least 1 (found {self.choices})")

    def bind(self, context: PolicyContext) -> None:
        self._seed = int(context.rng.integers(1 << 63))

    def route(self, work: Sequence[QueuedRequest], function: Function, view: ClusterView) -> Route:
        left = sorted(view.instances_of(function).values(), key=lambda i: i.id)
        numbers = (number_of(self._seed, work[0].index, choice) for choice in range(min(self.choices, len(left))))
        drawn = [left.pop(number % len(left)) for number in numbers]
        return _least_loaded(drawn, "less loaded of those drawn")
