"""Routing: which instance takes a request as it arrives, or a formed batch."""

from simlora.policies.routing.affinity import LoraAffinity, ResidencyAffinity
from simlora.policies.routing.busiest import Busiest
from simlora.policies.routing.by_hash import PowerOfTwo, Rendezvous
from simlora.policies.routing.by_load import BestPreloaded, FillUp, IdleOrStart, LeastLoaded, RoundRobin
from simlora.policies.routing.late_binding import FreeGpu
from simlora.policies.routing.least_cost import LeastCost
from simlora.policies.routing.rank_aware import RankAware

__all__ = [
    "BestPreloaded",
    "Busiest",
    "FillUp",
    "FreeGpu",
    "IdleOrStart",
    "LeastCost",
    "LeastLoaded",
    "LoraAffinity",
    "PowerOfTwo",
    "RankAware",
    "Rendezvous",
    "ResidencyAffinity",
    "RoundRobin",
]
