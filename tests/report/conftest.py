"""A small run read back: two systems and a variant, two scenarios, two seeds."""

from __future__ import annotations

from pathlib import Path

import pytest

from simlora.study.run import run_experiment

EXPERIMENT = """\
# Does sharing pay? Two functions of one backbone,
# in calm and in busy traffic.
seeds = 2
functions = "functions.csv"
prices = ["alibaba-fc-2024-08", "ec2-on-demand-2026"]

[cluster]
nodes = 1
gpus_per_node = 2

[[scenario]]
name = "calm"
trace = { name = "poisson", rate_per_s = 0.05 }
duration_s = 600

[[scenario]]
name = "busy"
trace = { name = "poisson", rate_per_s = 0.5 }
duration_s = 600

[[system]]
use = "serverless-lora"

[[system]]
name = "vllm & co"
base = "serverless-vllm"

[[ablation]]
name = "no sharing"
base = "serverless-lora"
set = { sharing = "none" }
"""
FUNCTIONS = """\
function,backbone,rank,target_modules,slo_ttft_s,slo_tpot_s
a,llama-2-7b,16,q_proj;v_proj,2.5,
b,llama-2-7b,8,all-linear,2.5,0.1
"""


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results folder of that run."""
    folder = tmp_path_factory.mktemp("report")
    (folder / "experiment.toml").write_text(EXPERIMENT)
    (folder / "functions.csv").write_text(FUNCTIONS)
    ran = run_experiment(folder / "experiment.toml", folder / "does-sharing-pay", jobs=0)
    assert not ran.failed
    return ran.out
