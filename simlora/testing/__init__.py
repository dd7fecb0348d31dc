"""Contract suites for policies: inherit the one of the role, say how to make the policy, and run pytest.

    from simlora.testing import PreloadingContract

    class TestMine(PreloadingContract):
        def make_policy(self):
            return Mine(depth=4)

They need hypothesis and pytest, which simlora itself does not.
"""

from simlora.testing.contracts import (
    CONTRACTS,
    BatchingContract,
    ForecastContract,
    KeepAliveContract,
    OffloadingContract,
    PlacementContract,
    PolicyContract,
    PreemptionContract,
    PreloadingContract,
    RoutingContract,
    ScalingContract,
)
from simlora.testing.estimates import TableEstimates
from simlora.testing.views import Snapshot
from simlora.testing.worlds import World, make_world, worlds

__all__ = [
    "CONTRACTS",
    "BatchingContract",
    "ForecastContract",
    "KeepAliveContract",
    "OffloadingContract",
    "PlacementContract",
    "PolicyContract",
    "PreemptionContract",
    "PreloadingContract",
    "RoutingContract",
    "ScalingContract",
    "Snapshot",
    "TableEstimates",
    "World",
    "make_world",
    "worlds",
]
