"""Batching: who joins the running batch of an instance, and which batch to form of what waits at the front end."""

from simlora.policies.batching.continuous import ContinuousBatching
from simlora.policies.batching.fill_or_expire import FillOrExpire
from simlora.policies.batching.request_level import Fifo, Fixed
from simlora.policies.batching.slo_classes import SloClasses

__all__ = ["ContinuousBatching", "Fifo", "FillOrExpire", "Fixed", "SloClasses"]
