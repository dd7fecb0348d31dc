"""Pre-loading: what to load, start or end ahead of demand."""

from simlora.policies.preloading.opportunistic import Opportunistic
from simlora.policies.preloading.pckp import Pckp
from simlora.policies.preloading.standing import AlwaysOn, Everything, NoPreloading

__all__ = ["AlwaysOn", "Everything", "NoPreloading", "Opportunistic", "Pckp"]
