"""Contract suites for policies: inherit the one of the role, say how to make the policy, and run pytest.

    from simlora.testing import PreloadingContract

    class TestMine(PreloadingContract):
        def make_policy(self):
            return Mine(depth=4)

There is one suite per role, ``RoutingContract`` to ``ForecastContract`` (``CONTRACTS`` has them by role); what may be
answered stands in its docstring, what it asks in ``simlora/testing/contracts``. ``make_world`` and ``worlds`` make the
clusters that policies are asked in, of ``Snapshot`` and ``TableEstimates``.

``Scenario`` runs a system on a small workload through the real engine, with ``ConstantSteps`` for timelines that can be
worked out by hand; ``scenarios`` draws such runs. Drawing needs hypothesis, which simlora itself does not: the tests of
a suite, ``worlds`` and ``scenarios`` import it when they are used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simlora.testing.contracts import (
    CONTRACTS,
    AdaptersContract,
    BatchingContract,
    ForecastContract,
    KeepAliveContract,
    OffloadingContract,
    PlacementContract,
    PolicyContract,
    PredictorContract,
    PreemptionContract,
    PreloadingContract,
    RoutingContract,
    ScalingContract,
)
from simlora.testing.estimates import TableEstimates
from simlora.testing.scenario import Scenario, make_functions, make_workload
from simlora.testing.snapshot import Snapshot
from simlora.testing.steps import ConstantSteps
from simlora.testing.worlds import World, make_world, worlds

if TYPE_CHECKING:
    from simlora.testing.strategies import scenarios

__all__ = [
    "CONTRACTS",
    "AdaptersContract",
    "BatchingContract",
    "ConstantSteps",
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


def __getattr__(name: str) -> Any:
    """``scenarios``, imported when first asked for."""
    if name != "scenarios":
        raise AttributeError(f"module 'simlora.testing' has no attribute {name!r}")
    from simlora.testing.strategies import scenarios

    return scenarios
