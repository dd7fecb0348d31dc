"""The laws every policy of a role must keep, as test classes to inherit: one file per role, what all share in ``base``.

Common laws: the answer is well-typed and admissible; two fresh policies that were told the same answer the same, and so
do they in another process; asking changes nothing in the view; the order of dictionaries does not matter.
"""

from simlora.testing.contracts.adapters import AdaptersContract
from simlora.testing.contracts.base import PolicyContract
from simlora.testing.contracts.batching import BatchingContract
from simlora.testing.contracts.forecast import ForecastContract
from simlora.testing.contracts.keepalive import KeepAliveContract
from simlora.testing.contracts.offloading import OffloadingContract
from simlora.testing.contracts.placement import PlacementContract
from simlora.testing.contracts.predictor import PredictorContract
from simlora.testing.contracts.preemption import PreemptionContract
from simlora.testing.contracts.preloading import PreloadingContract
from simlora.testing.contracts.routing import RoutingContract
from simlora.testing.contracts.scaling import ScalingContract

CONTRACTS: dict[str, type[PolicyContract]] = {
    "routing": RoutingContract,
    "placement": PlacementContract,
    "batching": BatchingContract,
    "preloading": PreloadingContract,
    "rebalancing": PreloadingContract,
    "offloading": OffloadingContract,
    "adapters": AdaptersContract,
    "preemption": PreemptionContract,
    "keepalive": KeepAliveContract,
    "scaling": ScalingContract,
    "forecast": ForecastContract,
    "predictor": PredictorContract,
}
"""The contract of each role."""

__all__ = [
    "CONTRACTS",
    "AdaptersContract",
    "BatchingContract",
    "ForecastContract",
    "KeepAliveContract",
    "OffloadingContract",
    "PlacementContract",
    "PolicyContract",
    "PredictorContract",
    "PreemptionContract",
    "PreloadingContract",
    "RoutingContract",
    "ScalingContract",
]
