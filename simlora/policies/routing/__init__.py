"""Routing: which instance takes a request as it arrives, or a formed batch."""

from simlora.policies.routing.affinity import LoraAffinity, ResidencyAffinity
from simlora.policies.routing.by_hash import PowerOfTwo, Rendezvous
from simlora.policies.routing.by_load import BestPreloaded, IdleOrStart, LeastLoaded, RoundRobin
from simlora.policies.routing.late_binding import FreeGpu

__all__ = [
    "BestPreloaded",
    "FreeGpu",
    "IdleOrStart",
    "LeastLoaded",
    "LoraAffinity",
    "PowerOfTwo",
    "Rendezvous",
    "ResidencyAffinity",
    "RoundRobin",
]
