"""The parts of a serving system, wired together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simlora.backends.base import Backend
from simlora.clock import VirtualTime
from simlora.cluster.cluster import Cluster
from simlora.engine.adapters import Adapters
from simlora.engine.batches import Batches
from simlora.engine.estimates import ProfileEstimates
from simlora.engine.failing import Failing
from simlora.engine.frontend import FrontEnd
from simlora.engine.idling import Idler
from simlora.engine.joining import Joining
from simlora.engine.making_room import RoomMaker
from simlora.engine.migrating import Migrations
from simlora.engine.pipelines import Pipelines
from simlora.engine.places import Places
from simlora.engine.planning import Planner
from simlora.engine.reserving import Reservations
from simlora.engine.scaling import Scaler
from simlora.engine.serving import Server
from simlora.engine.start_up import StartUp
from simlora.engine.starting import Starter
from simlora.engine.usage import Usage
from simlora.events import Event
from simlora.policies.base import Observes, ObservesArrivals, ObservesServed
from simlora.results.recorder import Recorder
from simlora.systems.config import SystemConfig


class Engine:
    """One system on one cluster: mechanism here, decisions in ``policies``, work in ``backend``.

    ``moved_s``: when a request last ended or a batch last went on.
    """

    def __init__(
        self,
        env: VirtualTime,
        system: SystemConfig,
        cluster: Cluster,
        backend: Backend,
        policies: Mapping[str, Any],
        estimates: ProfileEstimates,
        record: Recorder,
    ):
        self.env = env
        self.system = system
        self.cluster = cluster
        self.backend = backend
        self.policies = policies
        self.estimates = estimates
        self.record = record
        self.unresolved = len(record.outcome)
        self.moved_s = 0.0
        self._observers = [policy for policy in policies.values() if isinstance(policy, Observes)]
        self.arrival_observers = [policy for policy in policies.values() if isinstance(policy, ObservesArrivals)]
        self.served_observers = [policy for policy in policies.values() if isinstance(policy, ObservesServed)]
        self.usage = Usage(self)
        self.reservations = Reservations(self)
        self.batches = Batches(self)
        self.start_up = StartUp(self)
        self.adapters = Adapters(self)
        self.places = Places(self)
        self.front = FrontEnd(self)
        self.starter = Starter(self)
        self.pipelines = Pipelines(self)
        self.joining = Joining(self)
        self.migrations = Migrations(self)
        self.server = Server(self)
        self.room = RoomMaker(self)
        self.idler = Idler(self)
        self.planner = Planner(self)
        self.scaler = Scaler(self)
        self.failing = Failing(self)
        backend.report_to(self.failing.process_lost)

    def happened(self, event: Event) -> None:
        """Record an event and tell the policies that observe."""
        self.record.event(event)
        for observer in self._observers:
            observer.observe(event)

    def resolve(self, request: int, outcome: int) -> None:
        """The request has come to its end: exactly once (design law 8)."""
        if self.record.outcome[request]:
            raise RuntimeError(f"request {request} ended twice")
        self.record.outcome[request] = outcome
        self.unresolved -= 1
        self.moved_s = self.env.now
