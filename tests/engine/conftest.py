"""What the engine's tests share: stages that always take their median, and a world in which things fail."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simlora.cluster.config import ClusterConfig
from simlora.cluster.failures import Failure
from simlora.engine import RunRecord
from simlora.latency import engines
from simlora.testing.scenario import ROW, Scenario, make_functions, make_workload
from simlora.testing.steps import ConstantSteps


@pytest.fixture(scope="session")
def exact_engine(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Eager Transformers with no spread in any stage, as the path that names it."""
    shipped = (Path(engines.__file__).parent / "engines" / "hf-eager.toml").read_text(encoding="utf-8")
    path = tmp_path_factory.mktemp("engines") / "exact.toml"
    path.write_text(re.sub(r"(?m)^sigma = .*$", "sigma = 0.0", shipped), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="session")
def world(exact_engine: str) -> Callable[..., Scenario]:
    """ServerlessLoRA serving two functions of one backbone, one request at 0 s unless ``rows`` say otherwise."""

    def made(*failures: dict[str, Any], rows: list[ROW] | None = None, gpus: int = 1, **keys: Any) -> Scenario:
        steps = ConstantSteps(0.05, prefill_s=0.2)
        return Scenario(
            "serverless-lora",
            make_functions("llama-2-7b", "llama-2-7b"),
            make_workload(rows or [(0.0, 0, 100, 10)], 10),
            {"engine": exact_engine, "batching": {"policy": "fixed", "size": 1, "delay_s": 0.0}, **keys},
            ClusterConfig(nodes=1, gpus_per_node=gpus),
            steps=lambda instance: steps,
            failures=[Failure.model_validate(one) for one in failures],
        )

    return made


@pytest.fixture(scope="session")
def kinds() -> Callable[..., list[tuple[str, float]]]:
    """The events of some kinds with their times, to a microsecond."""

    def of(record: RunRecord, *wanted: str) -> list[tuple[str, float]]:
        rows = record.events.to_pylist()
        return [(row["kind"], pytest.approx(row["at_s"], abs=1e-6)) for row in rows if row["kind"] in wanted]

    return of


@pytest.fixture(scope="session")
def column() -> Callable[[RunRecord, str], list[Any]]:
    """A column of the requests."""

    def of(record: RunRecord, name: str) -> list[Any]:
        values: list[Any] = record.requests[name].to_pylist()
        return values

    return of
