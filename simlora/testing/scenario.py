"""Small scenarios to run a policy or a system in, through the real engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simlora.cluster.config import ClusterConfig
from simlora.cluster.failures import Failure
from simlora.engine import RunRecord, Simulation
from simlora.entities import Backbone, Function
from simlora.latency.models import load_backbone
from simlora.systems.config import load_system
from simlora.workload import Workload

if TYPE_CHECKING:
    from simlora.backends.segments import StepModel
    from simlora.views import InstanceView

ROW = tuple[float, int, int, int]
ONE_GPU = ClusterConfig(nodes=1, gpus_per_node=1)


def make_functions(*backbones: str | Backbone, rank: int = 16, slo_ttft_s: float = 2.5) -> list[Function]:
    """One function per backbone named, adapters on the query and value projections: f0, f1 and so on."""
    found = [load_backbone(b) if isinstance(b, str) else b for b in backbones]
    return [Function(i, f"f{i}", b, rank, ("q_proj", "v_proj"), slo_ttft_s) for i, b in enumerate(found)]


def make_workload(rows: Sequence[ROW], max_new_tokens: int | None = None) -> Workload:
    """Rows of (arrival in s, function, prompt tokens, output tokens), put in order of arrival.

    ``max_new_tokens``: what policies see of the output; by default the longest of all.
    """
    arrived_s, function, prompt, output = zip(*sorted(rows, key=lambda row: row[0]), strict=True)
    limit = max(output) if max_new_tokens is None else max_new_tokens
    return Workload(
        arrived_s=np.asarray(arrived_s, np.float64),
        function=np.asarray(function, np.int32),
        prompt_tokens=np.asarray(prompt, np.int32),
        output_tokens=np.asarray(output, np.int32),
        max_new_tokens=np.full(len(rows), limit, np.int32),
        provenance="synthetic: written out",
    )


@dataclass(frozen=True)
class Scenario:
    """A system with some keys overridden, and what it runs on. ``steps``: a clock in place of the profile's."""

    system: str
    functions: Sequence[Function]
    workload: Workload
    overrides: Mapping[str, Any] = field(default_factory=dict)
    cluster: ClusterConfig = ONE_GPU
    profile: str = "l40s"
    seed: int = 0
    steps: Callable[[InstanceView], StepModel] | None = None
    failures: Sequence[Failure] = ()

    def simulation(self, stepwise: bool = False) -> Simulation:
        """Built afresh and not yet run, its policies still to be wrapped or replaced."""
        return Simulation(
            load_system(self.system, self.overrides),
            functions=self.functions,
            workload=self.workload,
            cluster=self.cluster,
            profile=self.profile,
            seed=self.seed,
            base_dir=Path(),
            stepwise=stepwise,
            failures=self.failures,
            model_of=self.steps,
        )

    def run(self, stepwise: bool = False) -> RunRecord:
        """The record of a fresh run."""
        return self.simulation(stepwise).run()
