"""How far greed stays behind the optimum of the pre-loading knapsack, and what the optimum takes to find.

Random moments of a cluster, seed by seed: functions of two backbones and mixed ranks with Zipf's rates, GPUs that other
processes have filled to some degree, two idle containers on each. Sizes and times are those of a profile.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simlora.cluster.config import ClusterConfig
from simlora.cluster.machines import load_machines
from simlora.engine.estimates import ProfileEstimates
from simlora.entities import Function
from simlora.events import Cause, CauseKind
from simlora.latency import load_backbone
from simlora.policies.base import PolicyContext
from simlora.policies.predictor import MaxNewTokens
from simlora.policies.preloading import Pckp, PckpExact
from simlora.results.statistics import mean_interval
from simlora.study.console import show, stderr
from simlora.study.store import Store, one_message
from simlora.study.summary import write_rows
from simlora.study.tables import interval_text
from simlora.systems import load_system
from simlora.testing.snapshot import Snapshot
from simlora.workload.workload import stream

if TYPE_CHECKING:
    from rich.table import Table

BACKBONES = ("llama-2-7b", "llama-2-13b")
RANKS = (8, 16, 32, 64)
MODULES = ("q_proj", "v_proj")
CONTAINERS_PER_GPU = 2
GPUS_PER_NODE = 4
MOST_HELD = 0.8
"""Assumption: others hold up to this share of a GPU or a container, uniformly."""
RATE_PER_S = 0.1
"""Assumption: of the most popular function; the k-th most popular has a k-th of it. A common factor changes no gap."""


@dataclass(frozen=True)
class Measured:
    """One instance: what both fillings are worth (seconds of waiting saved per second), their processor time."""

    functions: int
    gpus: int
    seed: int
    greedy_value: float
    exact_value: float
    greedy_s: float
    exact_s: float
    proved: bool

    @property
    def gap(self) -> float:
        """The share of the optimum that greed leaves; 0 where nothing can be loaded."""
        return 1.0 - self.greedy_value / self.exact_value if self.exact_value else 0.0


@dataclass(frozen=True)
class Rates:
    """A forecast that knows the rates."""

    per_s: dict[Function, float]

    def observe_arrival(self, function: Function, at_s: float) -> None:
        """Nothing to learn."""

    def rate_per_s(self, function: Function, now_s: float) -> float:
        return self.per_s[function]


def measure(functions: int, gpus: int, seed: int, time_limit_s: float, profile: str) -> Measured:
    """Both fillings of one random instance; a search cut short yields its best plan so far, not ``proved``."""
    view, context = _instance(functions, gpus, seed, profile)
    causes = [Cause(CauseKind.ARRIVED, function) for function in view.functions]
    greedy, exact = Pckp(), PckpExact(node_limit=2**31 - 1, time_limit_s=time_limit_s)
    values, seconds = [], []
    for policy in (greedy, exact):
        policy.bind(context)
        before_s = time.process_time()
        plan = policy.plan(causes, view)
        seconds.append(time.process_time() - before_s)
        values.append(exact.value(plan, view) if policy is exact else greedy.value(plan, view))
    return Measured(functions, gpus, seed, values[0], values[1], seconds[0], seconds[1], exact.proved)


def _instance(functions: int, gpus: int, seed: int, profile: str) -> tuple[Snapshot, PolicyContext]:
    rng = stream(seed, f"gap/{functions}/{gpus}")
    backbones = [load_backbone(name) for name in BACKBONES]
    table = [
        Function(i, f"f{i}", backbones[i % len(backbones)], int(rng.choice(RANKS)), MODULES, 2.5)
        for i in range(functions + 1)
    ]
    *known, other = table
    system = load_system("serverless-lora")
    cluster = ClusterConfig(nodes=-(-gpus // GPUS_PER_NODE), gpus_per_node=GPUS_PER_NODE)
    machines = load_machines(cluster, profile, system.engine)
    card, kind = machines[0].profile.gpu, machines[0].profile.kernels.gpu
    view = Snapshot(0.0, known)
    for at in range(gpus):
        node = view.add_node() if at % GPUS_PER_NODE == 0 else view.nodes[-1]
        gpu = view.add_gpu(node, int(card.usable_bytes * (1 - MOST_HELD * rng.random())), kind=kind)
        for _ in range(CONTAINERS_PER_GPU):
            free_bytes = int(system.limits.container_bytes * (1 - MOST_HELD * rng.random()))
            view.add_instance(other, view.add_container(gpu, free_bytes), {"container": 0})
    rates = Rates({f: RATE_PER_S / (1 + int(k)) for f, k in zip(known, rng.permutation(functions), strict=True)})
    estimates = ProfileEstimates(system, machines, table)
    return view, PolicyContext(known, estimates, rates, MaxNewTokens(), rng)


def run_gap(
    functions: Sequence[int], gpus: Sequence[int], seeds: int, time_limit_s: float, profile: str, out: Path
) -> list[Measured]:
    """Measure all sizes, write ``gap.csv`` and a figure into ``out``, and print the table."""
    import pandas as pd
    from rich.progress import track

    from simlora.plotting.gap import gap_figure
    from simlora.study.album import Album

    Store(out).check()
    sizes = [(f, g, seed) for g in gpus for f in functions for seed in range(seeds)]
    measure(functions[0], gpus[0], 0, time_limit_s, profile)  # the first search loads the solver
    shown = track(sizes, "instances", console=stderr(), transient=True)
    found = [measure(f, g, seed, time_limit_s, profile) for f, g, seed in shown]
    rows: list[dict[str, Any]] = [{**vars(one), "gap": one.gap} for one in found]
    with one_message(out):
        out.mkdir(parents=True, exist_ok=True)
        write_rows(out / "gap.csv", rows)
        Album(out / "figures").add(gap_figure(pd.DataFrame(rows)), "gap")
    show(gap_table(found, time_limit_s))
    return found


def gap_table(found: Sequence[Measured], time_limit_s: float) -> Table:
    """A row per size: means over seeds with intervals; gaps of those whose optimum is proved alone."""
    from rich.table import Table

    limit = f"unsolved: no proof within {time_limit_s:g} s, left out of the gap"
    title = "Greedy pre-loading against the optimum"
    table = Table(title=title, caption=f"mean over seeds and its 95 % interval; processor time; {limit}")
    for name in ("GPUs", "functions", "gap", "largest gap", "greedy (ms)", "optimum (s)", "unsolved"):
        table.add_column(name, justify="right")
    for gpus, functions in dict.fromkeys((one.gpus, one.functions) for one in found):
        here = [one for one in found if (one.gpus, one.functions) == (gpus, functions)]
        gaps = [one.gap for one in here if one.proved]
        table.add_row(
            str(gpus),
            str(functions),
            interval_text(mean_interval(gaps), ".2%"),
            f"{max(gaps):.1%}" if gaps else "-",
            interval_text(mean_interval([1e3 * one.greedy_s for one in here]), ".2f"),
            interval_text(mean_interval([one.exact_s for one in here]), ".3g"),
            f"{sum(not one.proved for one in here)} of {len(here)}",
        )
    return table
