"""Law 7: the same seed gives the same bytes in any process, and a further function shifts no other's traffic."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simlora.systems import list_systems, load_system
from simlora.testing.scenario import Scenario, make_functions
from simlora.workload import build_workload

RUN = """
import json, sys
from pathlib import Path
from simlora.engine import simulate
from simlora.cluster.config import ClusterConfig
from simlora.cluster.failures import Failure
from simlora.systems import list_systems, load_system
from simlora.testing.scenario import make_functions
from simlora.workload import build_workload

functions = make_functions(*["llama-2-7b", "llama-2-13b"] * 4)
failures = [Failure.model_validate(one) for one in json.loads(sys.argv[2])]
for name in list_systems():
    workload = build_workload(
        trace={"name": "gamma", "rate_per_s": 0.8, "cv": 3.0}, lengths="gsm8k", functions=[f.id for f in functions],
        duration_s=150.0, rate_scale=1.0, seed=3, base_dir=Path(), data_dir=None,
    )
    record = simulate(
        load_system(name), functions=functions, workload=workload, cluster=ClusterConfig(nodes=2, gpus_per_node=2),
        profile="l40s", seed=3, base_dir=Path(), failures=failures,
    )
    folder = Path(sys.argv[1]) / name
    folder.mkdir(parents=True)
    record.write(folder)
"""


TROUBLE = [
    {"what": "worker", "rate_per_hour": 600.0},
    {"what": "backbone", "rate_per_hour": 200.0},
    {"what": "gpu", "rate_per_hour": 200.0, "for_s": 20.0},
    {"what": "node", "at_s": 60.0, "for_s": 15.0},
    {"what": "adapter", "rate_per_hour": 200.0, "once": True},
    {"what": "remote", "at_s": 5.0, "for_s": 40.0, "factor": 0.1},
]


def files_written(folder: Path, hash_seed: str, failures: list[dict[str, Any]]) -> dict[str, bytes]:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-W", "ignore", "-c", RUN, str(folder), json.dumps(failures)]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.*"))}


@pytest.mark.parametrize("failures", [[], TROUBLE], ids=["quiet", "trouble"])
def test_the_same_seed_writes_the_same_bytes_in_processes_that_hash_otherwise(
    tmp_path: Path, failures: list[dict[str, Any]]
) -> None:
    first, second = (files_written(tmp_path / seed, seed, failures) for seed in "12")
    assert len(first) == 4 * len(list_systems())
    assert [name for name in first if first[name] != second.get(name)] == []


TRACES: list[str | dict[str, str | float]] = [
    {"name": "poisson", "rate_per_s": 0.2},
    {"name": "gamma", "rate_per_s": 0.2, "cv": 4.0},
    {"name": "on-off", "on_rate_per_s": 1.0, "off_rate_per_s": 0.01, "on_mean_s": 20.0, "off_mean_s": 60.0},
    "model/azure-2019-bursty",
]


@pytest.mark.parametrize("trace", TRACES, ids=str)
def test_a_further_function_shifts_no_arrival_and_no_length_of_the_others(trace: str | dict[str, Any]) -> None:
    def rows(functions: int) -> np.ndarray:
        workload = build_workload(
            trace=trace,
            lengths="gsm8k",
            functions=[f"f{i}" for i in range(functions)],
            duration_s=900.0,
            rate_scale=1.0,
            seed=5,
            base_dir=Path(),
            data_dir=None,
        )
        columns = workload.arrived_s, workload.function, workload.prompt_tokens, workload.output_tokens
        return np.stack([column.astype(float) for column in columns], axis=1)

    three, four = rows(3), rows(4)
    assert len(three) > 3
    np.testing.assert_array_equal(four[four[:, 1] < 3], three)


@pytest.mark.parametrize("system", list_systems())
def test_a_function_without_traffic_changes_no_luck_of_the_others(system: str) -> None:
    """Start-up draws are named: each start of a function takes as long whatever else the cluster could serve."""
    workload = build_workload(
        trace={"name": "gamma", "rate_per_s": 0.1, "cv": 4.0},
        lengths="gsm8k",
        functions=["f0", "f1"],
        duration_s=600.0,
        rate_scale=1.0,
        seed=5,
        base_dir=Path(),
        data_dir=None,
    )
    stands = load_system(system).preloading["policy"] == "always-on"
    found = []
    for functions in (make_functions(*["llama-2-7b"] * n) for n in (2, 3)):
        events = Scenario(system, functions, workload, {} if stands else {"preloading": "none"}).run().events
        stages = [row for row in events.to_pylist() if row["stage"] in ("container", "library")]
        found.append([(row["function"], row["stage"], row["seconds"]) for row in stages])
    assert found[0] == found[1]
    assert stands != bool(found[0])
