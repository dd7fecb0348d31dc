"""What the laws share: the log of a run's decisions, and what memories held over time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from simlora.cluster.memory import Memory
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


@pytest.fixture
def byte_seconds(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Bytes in use times seconds of every memory, integrated as they are taken and given."""
    integral: dict[str, float] = defaultdict(float)
    since: dict[str, float] = defaultdict(float)
    clock: list[Simulation] = []
    init = Simulation.__init__

    def watched_init(self: Simulation, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        clock[:] = [self]

    def watched(change: Any) -> Any:
        def changed(memory: Memory, size_bytes: int) -> None:
            now_s = clock[0].env.now if clock else 0.0
            integral[memory.name] += memory.used_bytes * (now_s - since[memory.name])
            since[memory.name] = now_s
            change(memory, size_bytes)

        return changed

    monkeypatch.setattr(Simulation, "__init__", watched_init)
    monkeypatch.setattr(Memory, "take", watched(Memory.take))
    monkeypatch.setattr(Memory, "give", watched(Memory.give))
    return integral
