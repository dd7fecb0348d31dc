"""What the laws share: the log of a run's decisions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from simlora.cluster.queues import Queues
from simlora.engine import Simulation
from simlora.policies.base import ASKED

DECIDING = [role for role in ASKED if role not in ("forecast", "predictor")]


class Decision(NamedTuple):
    """A question a policy was asked, and its answer, as texts."""

    at_s: float
    role: str
    asked: str
    answer: str


Log = list[Decision]
Listen = Callable[[Simulation], Log]


def _listen_to(policy: Any, role: str, simulation: Simulation, log: Log) -> None:
    ask = getattr(policy, ASKED[role])

    def listened(*question: Any) -> Any:
        answer = ask(*question)
        asked = [list(part.in_order()) if isinstance(part, Queues) else part for part in question[:-1]]
        log.append(Decision(simulation.env.now, role, repr(asked), repr(answer)))
        return answer

    setattr(policy, ASKED[role], listened)


@pytest.fixture(scope="session")
def listen() -> Listen:
    """Have every decision of a run written into a log: the question without the view, and the answer."""

    def listen_to_all(simulation: Simulation) -> Log:
        log: Log = []
        for role in DECIDING:
            _listen_to(simulation.policies[role], role, simulation, log)
        return log

    return listen_to_all
