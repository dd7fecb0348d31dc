"""A small experiment on disk, and an engine that answers at once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simlora.results.recorder import FINISHED, GPU, RESERVED, Recorder, RunRecord

EXPERIMENT = """\
seeds = 2
functions = "functions.csv"
prices = ["alibaba-fc-2024-08", "ec2-on-demand-2026"]

[cluster]
nodes = 2
gpus_per_node = 2

[[scenario]]
name = "calm"
trace = { name = "poisson", rate_per_s = 0.05 }
duration_s = 600

[[system]]
use = "serverless-lora"

[[system]]
use = "vllm"

[[system]]
name = "mine"
base = "serverless-lora"
preloading = { policy = "study_policies:Mine", depth = 2 }

[[ablation]]
name = "no sharing"
base = "mine"
set = { sharing = "none" }
"""
FUNCTIONS = """\
function,backbone,rank,target_modules,slo_ttft_s,slo_tpot_s
a,llama-2-7b,16,q_proj;v_proj,2.5,
b,llama-2-7b,8,all-linear,2.5,0.1
"""
POLICIES = """\
from dataclasses import dataclass, field

import study_helper
from simlora.actions import Plan


@dataclass
class Mine:
    depth: int = 1
    causes: frozenset = field(default=frozenset(), init=False)

    def plan(self, causes, view):
        return Plan()
"""


@dataclass
class Folder:
    """An experiment's folder."""

    path: Path

    @property
    def file(self) -> Path:
        return self.path / "experiment.toml"

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.path / name).read_text()
        assert old in text
        (self.path / name).write_text(text.replace(old, new))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    files = {
        "experiment.toml": EXPERIMENT,
        "functions.csv": FUNCTIONS,
        "study_policies.py": POLICIES,
        "study_helper.py": "ANSWER = 42\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    yield Folder(tmp_path)
    for module in ("study_policies", "study_helper"):
        sys.modules.pop(module, None)


@dataclass
class FakeEngine:
    """Every request waits ``ttft_s`` of its system (or what ``rule`` says); counts what it was asked to run."""

    ttft_s: dict[str, float] = field(default_factory=dict)
    rule: Callable[[Any], float] | None = None
    fails: dict[str, BaseException] = field(default_factory=dict)
    calls: list[tuple[str, int]] = field(default_factory=list)
    workloads: list[tuple[int, Any]] = field(default_factory=list)

    def simulate(self, system: Any, *, functions: Any, workload: Any, cluster: Any, seed: int, **_: Any) -> RunRecord:
        if system.name in self.fails:
            raise self.fails[system.name]
        self.calls.append((system.name, seed))
        self.workloads.append((seed, workload))
        ttft_s = self.rule(system) if self.rule else self.ttft_s.get(system.name, 1.0)
        record = Recorder(len(workload), functions)
        for index, arrived_s in enumerate(workload.arrived_s.tolist()):
            record.outcome[index] = FINISHED
            record.bound_s[index] = record.ready_s[index] = record.started_s[index] = arrived_s
            record.first_token_s[index] = arrived_s + ttft_s
            record.finished_s[index] = arrived_s + ttft_s + 1.0
            record.instance[index] = record.gpu[index] = 0
            record.batch[index] = 1
        gpus = system.limits.gpus or cluster.gpus
        end_s = float(np.max(record.finished_s))
        if system.billing == "always-on":
            for gpu in range(gpus):
                record.usage(GPU, gpu, -1, gpu, RESERVED, 0.0, end_s, 48_000_000_000, 0)
        facts = {
            "system": system.name,
            "profile": "l40s",
            "engine": system.engine,
            "gpu_models": ["l40s"] * 4,
            "seed": seed,
            "end_s": end_s,
            "gpus": gpus,
            "billing": system.billing,
            "out_of_range": {"calls": 10, "out": 0},
            "trust": [{"part": "gpu", "label": "measured", "source": "", "error": "", "valid": ""}],
            "workload": workload.provenance,
        }
        return RunRecord(*record.tables(workload), facts)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    fake = FakeEngine()
    monkeypatch.setattr("simlora.engine.simulate", fake.simulate)
    return fake
