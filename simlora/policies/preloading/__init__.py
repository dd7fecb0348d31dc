"""Pre-loading: what to load, start or end ahead of demand."""

from simlora.policies.preloading.clairvoyant import JustInTime
from simlora.policies.preloading.exact import PckpExact
from simlora.policies.preloading.histogram import HybridHistogram
from simlora.policies.preloading.likely import PrefetchLikely
from simlora.policies.preloading.migration import Migration
from simlora.policies.preloading.opportunistic import Opportunistic
from simlora.policies.preloading.pckp import Pckp
from simlora.policies.preloading.standing import AlwaysOn, Everything, NoPreloading

__all__ = [
    "AlwaysOn",
    "Everything",
    "HybridHistogram",
    "JustInTime",
    "Migration",
    "NoPreloading",
    "Opportunistic",
    "Pckp",
    "PckpExact",
    "PrefetchLikely",
]
