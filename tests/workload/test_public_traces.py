"""Public traces beside the paper's: what a scenario gets of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simlora.errors import TraceError
from simlora.workload import Workload

Build = Callable[..., Workload]
TEN = [f"f{row}" for row in range(10)]
SAMPLE = "azure-functions-2021/sample"


def times_of(found: Workload, row: int) -> list[float]:
    return list(found.arrived_s[found.function == row])


def test_invocations_are_replayed(build: Build, data_dir: Path) -> None:
    few, more = (build(SAMPLE, functions=TEN[:n], data_dir=data_dir) for n in (4, 10))
    assert [times_of(few, row) for row in range(4)] == [times_of(more, row) for row in range(4)]
    later = build({"name": SAMPLE, "start_s": 600.0}, functions=TEN[:4], data_dir=data_dir)
    assert later.arrived_s.max() < 601
    everyone = build(SAMPLE, functions=[str(row) for row in range(31)], data_dir=data_dir)
    assert len(everyone) == 199
    twice = build(SAMPLE, functions=[str(row) for row in range(31)], data_dir=data_dir, rate_scale=2.0)
    assert twice.arrived_s.tolist() == (everyone.arrived_s / 2).tolist()
    with pytest.raises(TraceError, match="found 32 functions; allowed: up to 31"):
        build(SAMPLE, functions=[str(row) for row in range(32)], data_dir=data_dir)


def test_a_whole_day_is_replayed(build: Build, data_dir: Path) -> None:
    day, last = "azure-functions-2019/day", [f"f{row}" for row in range(635)]
    found = build({"name": day, "spreader": "even"}, functions=last, duration_s=86_400.0, data_dir=data_dir)
    assert len(found) == 1_233_324
    busiest = found.arrived_s[found.function == 634]
    assert len(busiest) == 80_721
    first_hour = build({"name": day, "spreader": "even"}, functions=last, duration_s=3_600.0, data_dir=data_dir)
    assert times_of(first_hour, 634) == busiest[busiest < 3_600.0].tolist()
    with pytest.raises(TraceError, match="found functions = 636; allowed: up to 635"):
        build(day, functions=[*last, "one more"], data_dir=data_dir)
    with pytest.raises(TraceError, match="found duration_s = 86401; allowed: up to 86400"):
        build(day, functions=TEN, duration_s=86_401.0, data_dir=data_dir)


def test_mooncake_requests_leave_their_bins_start(build: Build, data_dir: Path) -> None:
    found = build("mooncake/conversation", functions=TEN, data_dir=data_dir)
    assert len(found) == 12_031
    assert found.prompt_tokens.mean() == pytest.approx(12_035, abs=1)
    gaps = np.diff(found.arrived_s)
    assert (gaps >= 0).all()
    assert gaps.std() / gaps.mean() < 1.3  # 3.03 of the bins' starts
    assert len(set(found.arrived_s.tolist())) > 12_000
    other = build("mooncake/conversation", functions=TEN, data_dir=data_dir, seed=2)
    assert other.arrived_s.tolist() != found.arrived_s.tolist()


@pytest.mark.parametrize("model", ["m-large", "m-small"])
def test_clients_have_their_rates(build: Build, data_dir: Path, model: str) -> None:
    trace = {"name": f"servegen/{model}", "start_s": 43_200.0}
    few, more = (build(trace, functions=TEN[:n], data_dir=data_dir, rate_scale=0.1) for n in (4, 10))
    assert [times_of(few, row) for row in range(4)] == [times_of(more, row) for row in range(4)]
    assert few.provenance.startswith("model: ServeGen")


def test_a_named_client(build: Build, data_dir: Path) -> None:
    def rate(**keys: Any) -> float:
        trace = {"name": "servegen/m-large", "clients": ["0"], **keys}
        return len(build(trace, functions=["a"], duration_s=600.0, data_dir=data_dir)) / 600

    drawn = [
        len(
            build(
                {"name": "servegen/m-large", "clients": ["0"]},
                functions=["a"],
                duration_s=600.0,
                data_dir=data_dir,
                seed=seed,
            )
        )
        / 600
        for seed in range(60)
    ]
    assert np.mean(drawn) == pytest.approx(1.33167, rel=0.15)
    assert rate(start_s=60.0) > 0
    with pytest.raises(TraceError, match='no client "zero"'):
        rate(clients=["zero"])
    with pytest.raises(TraceError, match=r"found 2; allowed: one per function \(1\)"):
        rate(clients=["0", "1"])


@pytest.mark.parametrize("name", ["azure-functions-2021", "mooncake/conversation", "servegen/m-large"])
def test_without_a_data_folder(build: Build, name: str) -> None:
    with pytest.raises(TraceError, match="SIMLORA_DATA"):
        build(name)
