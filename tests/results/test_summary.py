"""A run as one row, and the phases of its requests."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlora.entities import Function
from simlora.errors import ConfigError
from simlora.results.breakdown import breakdown
from simlora.results.prices import load_price
from simlora.results.summary import COLUMNS, summarise, summarise_functions

Build = Callable[..., pa.Table]

FACTS: dict[str, Any] = {
    "gpu_models": ["l40s"] * 4, "billing": "serverless", "duration_s": 100.0, "end_s": 110.0, "gpus": 4,
    "out_of_range": {"calls": 10, "out": 1},
}  # fmt: skip


def request(*times: float, instance: int = 0, **rest: Any) -> dict[str, Any]:
    names = ("arrived_s", "bound_s", "ready_s", "started_s", "first_token_s", "finished_s")
    return {**dict(zip(names, times, strict=True)), "instance": instance, "output_tokens": 11, "batch": 1, **rest}


def stage(name: str, from_s: float, to_s: float, **rest: Any) -> dict[str, Any]:
    return {"stage": name, "at_s": to_s, "seconds": to_s - from_s, **rest}


@pytest.fixture(scope="module")
def run(requests_of: Build, usage_of: Build) -> tuple[pa.Table, pa.Table]:
    requests = requests_of(
        request(0, 1, 5, 6, 7, 17, cold=True), request(2, 2, 5, 6, 8, 18, function="g"), {"outcome": "rejected"}
    )
    gb = 1 << 30
    usage = usage_of(
        {"state": "starting", "from_s": 1, "to_s": 5, "device_bytes": gb},
        {"state": "busy", "from_s": 5, "to_s": 18, "device_bytes": gb},
    )
    return requests, usage


def test_a_row_has_the_columns_of_the_summary_in_order(
    run: tuple[pa.Table, pa.Table], functions: list[Function]
) -> None:
    row = summarise(*run, FACTS, functions, window_s=120.0, prices=(load_price("alibaba-fc-2024-08"),))
    assert tuple(row) == COLUMNS
    assert row["cost_usd"] == pytest.approx(17 * 3e-5 + 17 * 2 * 2e-5 + 2 * 1.5e-7)
    assert row["cost_effectiveness"] == pytest.approx(1 / (16.5 * row["cost_usd"]))
    assert row["usd_per_m_output_tokens"] == pytest.approx(row["cost_usd"] / 22 * 1e6)
    assert row["gpus_mean"] == pytest.approx(17 / 120)
    assert row["throughput_tok_per_s"] == pytest.approx(22 / 110)
    assert row["out_of_range_fraction"] == 0.1
    assert all(type(value) in (int, float) for value in row.values())


def test_an_always_on_system_is_not_billed_by_a_serverless_list(
    run: tuple[pa.Table, pa.Table], functions: list[Function]
) -> None:
    facts = {**FACTS, "billing": "always-on"}
    with pytest.raises(ConfigError, match="can't bill always-on"):
        summarise(*run, facts, functions, 120.0, (load_price("runpod-2026"),))


def test_functions_have_metrics_of_their_own(run: tuple[pa.Table, pa.Table], functions: list[Function]) -> None:
    rows = summarise_functions(run[0], FACTS, functions)
    assert {name: row["requests"] for name, row in rows.items()} == {"f": 2, "g": 1}
    assert rows["g"]["ttft_mean_s"] == 6.0
    assert rows["f"]["slo_attainment"] == 0.0


def test_breakdown_by_hand(requests_of: Build, events_of: Build) -> None:
    requests = requests_of(
        request(0, 1, 11, 13, 14, 20),  # container 1 to 3, library 3 to 6, nothing 6 to 8, backbone 8 to 11
        request(0, 5, 11, 13, 15, 20),  # joins while the library is loading
        request(0, 1, 1, 1, 2, 20, instance=1),  # warm
        {"outcome": "rejected"},
    )
    events = events_of(
        stage("backbone", 8, 11),
        stage("container", 1, 3),
        stage("library", 3, 6),
        stage("library", 0, 99, instance=2),
        {"kind": "instance_stopped", "at_s": 10.0, "seconds": 9.0},
    )
    assert breakdown(requests, events) == pytest.approx(
        {
            "queue": (1 + 5 + 1) / 3,
            "start-up: container": 2 / 3,
            "start-up: library": (3 + 1) / 3,
            "start-up: backbone": (3 + 3) / 3,
            "start-up: waiting": (2 + 2) / 3,
            "instance wait": (2 + 2 + 0) / 3,
            "prefill": (1 + 2 + 1) / 3,
            "decode": (6 + 5 + 18) / 3,
        }
    )


def test_work_that_was_lost_is_no_queueing(requests_of: Build, events_of: Build) -> None:
    """Request 1 came at 0 s, was bound twice to what failed, for 3 s and 2 s, and to what served it at 9 s."""
    requests = requests_of({"outcome": "rejected"}, {"request": 1, **request(0, 9, 9, 9, 10, 12)})
    lost = [{"kind": "work_lost", "request": which, "seconds": s} for which, s in ((1, 3.0), (0, 7.0), (1, 2.0))]
    found = breakdown(requests, events_of(*lost))
    assert found == {
        "queue": 4.0,
        "lost work": 5.0,
        "start-up: waiting": 0.0,
        "instance wait": 0.0,
        "prefill": 1.0,
        "decode": 2.0,
    }


def test_stages_under_way_at_once_share_the_time(requests_of: Build, events_of: Build) -> None:
    found = breakdown(requests_of(request(0, 0, 4, 4, 4, 4)), events_of(stage("a", 0, 4), stage("b", 0, 4)))
    assert (found["start-up: a"], found["start-up: b"], found["start-up: waiting"]) == (2.0, 2.0, 0.0)


def test_nothing_finished_has_no_phases(requests_of: Build, events_of: Build) -> None:
    assert all(math.isnan(s) for s in breakdown(requests_of({"outcome": "failed"}), events_of()).values())


gaps = st.lists(st.floats(0, 10), min_size=7, max_size=7)


@given(
    gaps=st.lists(st.tuples(gaps, st.integers(0, 2)), min_size=1, max_size=6),
    stages=st.lists(
        st.tuples(st.sampled_from("abc"), st.floats(0, 20), st.floats(0, 9), st.integers(0, 3)), max_size=9
    ),
)
def test_phases_are_never_negative_and_add_up_to_the_mean_e2e(
    gaps: list[tuple[list[float], int]],
    stages: list[tuple[str, float, float, int]],
    requests_of: Build,
    events_of: Build,
) -> None:
    rows = []
    for steps, instance in gaps:
        times = [sum(steps[: i + 1]) for i in range(6)]
        rows.append(request(*times, instance=instance))
    events = events_of(*(stage(name, at, at + took, instance=instance) for name, at, took, instance in stages))
    found = breakdown(requests_of(*rows), events)
    assert min(found.values()) >= -1e-9
    e2e = [row["finished_s"] - row["arrived_s"] for row in rows]
    assert sum(found.values()) == pytest.approx(sum(e2e) / len(e2e), abs=1e-9)
