"""Contract suites for policies: inherit the one of the role, say how to make the policy, and run pytest.

    from simlora.testing import PreloadingContract

    class TestMine(PreloadingContract):
        def make_policy(self):
            return Mine(depth=4)

``Scenario`` runs a system on a small workload through the real engine, with ``ConstantSteps`` for timelines that can be
worked out by hand; ``scenarios`` draws such runs. They need hypothesis and pytest, which simlora itself does not.
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
from simlora.testing.scenario import Scenario, make_functions, make_workload
from simlora.testing.steps import ConstantSteps
from simlora.testing.strategies import scenarios
from simlora.testing.views import Snapshot
from simlora.testing.worlds import World, make_world, worlds

__all__ = [
    "CONTRACTS",
    "BatchingContract",
    "ConstantSteps",
    "ForecastContract",
    "KeepAliveContract",
    "OffloadingContract",
    "PlacementContract",
    "PolicyContract",
    "PreemptionContract",
    "PreloadingContract",
    "RoutingContract",
    "ScalingContract",
    "Scenario",
    "Snapshot",
    "TableEstimates",
    "World",
    "make_functions",
    "make_workload",
    "make_world",
    "scenarios",
    "worlds",
]
