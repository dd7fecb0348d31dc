"""Batching: who joins the running batch of an instance, and which batch to form of what waits at the front end."""

from simlora.policies.batching.continuous import ContinuousBatching, MergedBatching
from simlora.policies.batching.dlora import CreditBatching
from simlora.policies.batching.fill_or_expire import FillOrExpire
from simlora.policies.batching.look_ahead import MemoryLookAhead
from simlora.policies.batching.request_level import Fifo, Fixed, OneAdapter
from simlora.policies.batching.slo_classes import SloClasses
from simlora.policies.batching.weighted_queues import WeightedQueues

__all__ = [
    "ContinuousBatching",
    "CreditBatching",
    "Fifo",
    "FillOrExpire",
    "Fixed",
    "MemoryLookAhead",
    "MergedBatching",
    "OneAdapter",
    "SloClasses",
    "WeightedQueues",
]
