"""Bad answers: a policy that now and then says something else than it would, and the error that the engine owes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from simlora.cluster.config import ClusterConfig
from simlora.engine import Simulation
from simlora.entities import QueuedRequest
from simlora.errors import PolicyError
from simlora.testing.scenario import ROW, Scenario, make_functions, make_workload
from simlora.testing.steps import ConstantSteps
from simlora.views import InstanceState

STEPS = ConstantSteps(0.05)
ROWS = [(0.0, 0, 100, 40), (0.0, 1, 100, 40), (20.0, 0, 100, 60), (20.4, 0, 100, 60), (20.8, 1, 100, 60)]
STRANGER = QueuedRequest(99, make_functions("llama-2-7b")[0], 0.0, 10, 10)
Bad = Callable[..., Any]


def scenario(system: str, rows: Sequence[ROW] = ROWS, **overrides: Any) -> Scenario:
    """Two functions of one backbone on two GPUs of one node; ``rows`` are their requests."""
    functions = make_functions("llama-2-7b", "llama-2-7b")
    cluster = ClusterConfig(nodes=1, gpus_per_node=2)
    return Scenario(system, functions, make_workload(rows), overrides, cluster, steps=lambda instance: STEPS)


def answer_badly(simulation: Simulation, role: str, method: str, bad: Bad) -> list[Any]:
    """The policy answers what ``bad`` does, unless that is ``...``; returns the list of answers so given."""
    policy = simulation.policies[role]
    ask, given = getattr(policy, method), list[Any]()

    def answer(*question: Any) -> Any:
        said = bad(simulation, *question)
        if said is ...:
            return ask(*question)
        given.append(said)
        return said

    setattr(policy, method, answer)
    return given


def running(view: Any) -> Iterator[Any]:
    """Instances with a batch that runs."""
    return (i for gpu in view.gpus for i in gpu.instances.values() if i.running)


def idle(view: Any) -> Iterator[Any]:
    """Instances that stand idle and are bound to nothing."""
    every = (i for gpu in view.gpus for i in gpu.instances.values())
    return (i for i in every if i.state is InstanceState.IDLE and not i.bound)


@dataclass(frozen=True)
class Case:
    """One bad answer, and the systems in which it is given."""

    bad: Bad
    systems: tuple[str, ...] = ("serverless-lora", "vllm")


def when(found: Callable[..., Any], then: Callable[[Any], Any]) -> Callable[..., Any]:
    """The bad answer for the first thing found in the view, else none."""

    def bad(simulation: Simulation, *question: Any) -> Any:
        thing = next(iter(found(question[-1])), None)
        return ... if thing is None else then(thing)

    return bad


def cases(table: dict[str, Case]) -> Any:
    """A test of ``system, bad`` for each case and each of its systems."""
    each = [(system, name, case.bad) for name, case in table.items() for system in case.systems]
    return pytest.mark.parametrize(("system", "bad"), [pytest.param(s, b, id=f"{s}: {name}") for s, name, b in each])


def plain(table: dict[str, Bad], *systems: str) -> Any:
    """The same for bad answers that are all given in these systems."""
    return cases({name: Case(bad, systems) for name, bad in table.items()})


def must_refuse(world: Scenario, role: str, method: str, bad: Bad, **of_the_policy: Any) -> None:
    """Fail unless the run ends with a :class:`PolicyError` that names the policy and the time, once ``bad`` answers."""
    simulation = world.simulation()
    vars(simulation.policies[role]).update(of_the_policy)
    name = type(simulation.policies[role]).__name__
    given = answer_badly(simulation, role, method, bad)

    def run() -> None:
        simulation.run()
        pytest.fail(f"not refused: {given}")

    with pytest.raises(PolicyError, match=rf"^{name} at \d+\.\d+ s: "):
        run()
