"""Decisions asked twice: fresh policies are told and asked what a run's own are, at the same moments (design law 1)."""

from __future__ import annotations

import time
from array import array
from pathlib import Path
from typing import Any

import numpy as np

from simlora.engine import Simulation
from simlora.policies.base import Binds, Foresees, Observes, ObservesArrivals, ObservesServed, PolicyContext
from simlora.systems.config import build_policies
from simlora.workload.workload import stream

METHODS = (
    ("routing", "route"),
    ("placement", "place"),
    ("batching", "next_batch"),
    ("preloading", "plan"),
    ("rebalancing", "plan"),
    ("offloading", "victims"),
    ("adapters", "leaving"),
    ("preemption", "preempt"),
    ("keepalive", "keep"),
    ("scaling", "desired"),
)
"""Roles that decide, and what they are asked."""


class Reasked:
    """Wraps the policies of a simulation that has not run yet.

    ``parted``: questions that the two answered differently; ``answer_s``: what each answer of the run's own took.
    """

    def __init__(self, simulation: Simulation, base_dir: Path = Path()):
        self.parted: list[str] = []
        self.answer_s = array("d")
        fresh = build_policies(simulation.system, base_dir)
        for role, policy in fresh.items():
            if isinstance(policy, Binds):
                rng = stream(simulation.seed, f"policy/{role}")
                known = simulation.functions, simulation.estimates, fresh["forecast"], fresh["predictor"]
                policy.bind(PolicyContext(*known, rng, simulation.rates))
            if isinstance(policy, Foresees):
                policy.foresee(simulation.future)
        own = simulation.policies
        for role, method in METHODS:
            self._double(own[role], fresh[role], method)
        for role, policy in own.items():
            for heard in (ObservesArrivals, ObservesServed):
                if isinstance(policy, heard):
                    (method,) = (name for name in vars(heard) if name.startswith("observe"))
                    self._double(policy, fresh[role], method)

    def _double(self, own: Any, fresh: Any, method: str) -> None:
        ask, ask_again = getattr(own, method), getattr(fresh, method)

        def both(*question: Any) -> Any:
            began = time.perf_counter()
            answer = ask(*question)
            self.answer_s.append(time.perf_counter() - began)
            again = ask_again(*question)
            if repr(answer) != repr(again):
                self.parted.append(f"{method}{question[:-1]}: {answer}, again {again}")
            return answer

        setattr(own, method, both)
        if isinstance(own, Observes):
            own_observe, fresh_observe = own.observe, fresh.observe

            def observe(event: Any) -> None:
                own_observe(event)
                fresh_observe(event)

            own.observe = observe  # type: ignore[method-assign]

    def facts(self) -> dict[str, Any]:
        """How many were asked and parted, the first of those, seconds of an answer."""
        taken = np.asarray(self.answer_s)
        seconds = {f"answer_p{q}_s": float(np.quantile(taken, q / 100)) if len(taken) else 0.0 for q in (50, 99)}
        return {"answers": len(taken), "answers_parted": len(self.parted), "parted": self.parted[:10], **seconds}
