"""Every metric on an example small enough to work by hand, and what may not move it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlora.entities import Function
from simlora.errors import ConfigError, TraceError
from simlora.results import metrics
from simlora.results.occupancy import occupancy

Build = Callable[..., pa.Table]


def served(arrived: float, first: float, finished: float, tokens: int, **rest: Any) -> dict[str, Any]:
    return {
        "arrived_s": arrived, "started_s": arrived, "first_token_s": first, "finished_s": finished,
        "output_tokens": tokens, "batch": 1, "instance": 0, **rest,
    }  # fmt: skip


@pytest.fixture(scope="module")
def day(requests_of: Build) -> pa.Table:
    """Four finished requests with TTFT 1, 2, 3, 4 s and TPOT 0.1, none, 0.2, 0.05 s; one of each other outcome."""
    return requests_of(
        served(0.0, 1.0, 2.0, 11, batch=1, cold=True),
        served(1.0, 3.0, 3.0, 1, batch=2),
        served(2.0, 5.0, 6.0, 6, batch=3, function="g"),
        served(3.0, 7.0, 8.0, 21, batch=4, function="g", cold=True),
        {"arrived_s": 4.0, "outcome": "rejected", "output_tokens": 99},
        {"arrived_s": 5.0, "outcome": "failed", "output_tokens": 99, "started_s": 5.5, "batch": 5},
        {"arrived_s": 6.0, "outcome": "timed_out", "output_tokens": 99},
        {"arrived_s": 7.0, "outcome": "unfinished", "output_tokens": 99, "first_token_s": 7.1},
    )


HAND_WORKED = {
    "requests": 8, "finished": 4, "rejected": 1, "failed": 1, "timed_out": 1, "unfinished": 1,
    "ttft_mean_s": 2.5, "ttft_p50_s": 2.5, "ttft_p90_s": 3.7, "ttft_p99_s": 3.97,
    "tpot_mean_s": (0.1 + 0.2 + 0.05) / 3,
    "tpot_paper_mean_s": (1 / 11 + 0 / 1 + 1 / 6 + 1 / 21) / 4,
    "itl_mean_s": 3 / 35,            # 10 gaps of 0.1, 5 of 0.2, 20 of 0.05
    "itl_p99_s": 0.2,
    "e2e_mean_s": (2 + 2 + 4 + 5) / 4, "e2e_p99_s": 4.97,
    "slo_attainment": 3 / 8,         # the third request is too slow per token
    "goodput_req_per_s": 3 / 10, "throughput_tok_per_s": 39 / 12,
    "cold_starts": 2, "batch_mean": 3.0, "offered_req_per_s": 0.8,
}  # fmt: skip


@pytest.mark.parametrize("name", HAND_WORKED)
def test_request_metric_by_hand(name: str, day: pa.Table, functions: list[Function]) -> None:
    assert metrics.request_metrics(day, functions, duration_s=10.0, end_s=12.0)[name] == pytest.approx(
        HAND_WORKED[name]
    )


def test_every_request_metric_is_worked_by_hand(day: pa.Table, functions: list[Function]) -> None:
    assert list(metrics.request_metrics(day, functions, 10.0, 12.0)) == list(HAND_WORKED)


def test_throughput_of_a_run_that_ends_early_counts_the_whole_trace(day: pa.Table, functions: list[Function]) -> None:
    assert metrics.request_metrics(day, functions, 39.0, 12.0)["throughput_tok_per_s"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("row", "met"),
    [
        (served(0, 2.5, 3, 2), True),
        (served(0, 2.5001, 3, 2), False),
        (served(0, 2.5, 99, 2), True),  # f states no TPOT
        (served(0, 4.0, 4.1, 2, function="g"), True),
        (served(0, 1.0, 1.2, 2, function="g"), False),
        (served(0, 1.0, 1.0, 1, function="g"), True),  # one token has no TPOT
        (served(0, 1.0, 1.1, 2, outcome="unfinished"), False),
    ],
)
def test_slo_is_met(row: dict[str, Any], met: bool, requests_of: Build, functions: list[Function]) -> None:
    assert metrics.met_slo(requests_of(row), functions).tolist() == [met]


def test_nothing_finished_leaves_percentiles_open_and_shares_at_zero(
    requests_of: Build, functions: list[Function]
) -> None:
    row = metrics.request_metrics(requests_of({"outcome": "rejected"}), functions, 10.0, 0.0)
    assert math.isnan(row["ttft_mean_s"])
    assert math.isnan(row["itl_p99_s"])
    assert row["slo_attainment"] == row["throughput_tok_per_s"] == 0.0
    assert metrics.request_metrics(requests_of(), functions, 10.0, 0.0)["requests"] == 0


def test_a_request_of_an_unknown_function_is_refused(requests_of: Build, functions: list[Function]) -> None:
    with pytest.raises(ConfigError, match='no function named "h"'):
        metrics.met_slo(requests_of({"function": "h"}), functions)


def test_a_missing_column_is_named(requests_of: Build) -> None:
    with pytest.raises(TraceError, match='no column "first_token_s"'):
        metrics.ttft(requests_of().drop_columns(["first_token_s"]))


def test_gpu_metrics_by_hand(usage_of: Build) -> None:
    usage = usage_of(
        {"id": 0, "gpu": 0, "state": "starting", "from_s": 0, "to_s": 2, "device_bytes": 10},
        {"id": 0, "gpu": 0, "state": "busy", "from_s": 2, "to_s": 4, "device_bytes": 20},
        {"id": 1, "gpu": 0, "state": "busy", "from_s": 3, "to_s": 5, "device_bytes": 30},
        {"holder": "backbone", "id": 0, "gpu": 1, "state": "idle", "from_s": 4, "to_s": 8, "device_bytes": 100},
        {"id": 2, "gpu": 2, "state": "busy", "from_s": 5, "to_s": 99, "device_bytes": 1},
    )
    row = metrics.gpu_metrics(occupancy(usage, window_s=10.0), gpus=4, window_s=10.0)
    assert row["gpus_mean"] == pytest.approx((5 + 4 + 5) / 10)
    assert row["gpus_max"] == 2  # GPU 2 begins as GPU 0 ends, while 1 is held
    assert row["gpu_busy_fraction"] == pytest.approx((3 + 5) / 40)
    assert row["gpu_mem_mean_bytes"] == pytest.approx((20 + 40 + 60 + 400 + 5) / 10)


def test_reserved_gpus_count_for_the_whole_window_but_hold_nothing_themselves(usage_of: Build) -> None:
    rows = [
        {"holder": "gpu", "id": g, "gpu": g, "state": "reserved", "from_s": 0, "to_s": 6, "device_bytes": 48}
        for g in range(3)
    ]
    busy = {"gpu": 1, "state": "busy", "from_s": 0, "to_s": 5, "device_bytes": 10}
    idle = {"gpu": 1, "state": "idle", "from_s": 5, "to_s": 6, "device_bytes": 20}
    row = metrics.gpu_metrics(occupancy(usage_of(*rows, busy, idle), 10.0), 4, 10.0)
    assert (row["gpus_mean"], row["gpus_max"]) == (3.0, 3)
    assert row["gpu_busy_fraction"] == pytest.approx(5 / 40)
    assert row["gpu_mem_mean_bytes"] == pytest.approx((50 + 100) / 10)  # what waits at the end of the run stays


def test_nothing_used_is_no_gpu(usage_of: Build) -> None:
    row = metrics.gpu_metrics(occupancy(usage_of(), 10.0), 4, 10.0)
    assert row == {"gpus_mean": 0.0, "gpus_max": 0, "gpu_busy_fraction": 0.0, "gpu_mem_mean_bytes": 0.0}


def test_cost_metrics_by_hand() -> None:
    row = metrics.cost_metrics(cost_usd=7.53, e2e_mean_s=2.977, finished=500, output_tokens=100_000)
    assert row["cost_effectiveness"] == pytest.approx(0.0446, abs=5e-5)  # as published for ServerlessLoRA
    assert row["usd_per_1k_requests"] == pytest.approx(15.06)
    assert row["usd_per_m_output_tokens"] == pytest.approx(75.3)
    assert math.isnan(metrics.cost_metrics(0.0, 1.0, 0, 0)["usd_per_1k_requests"])


def test_out_of_range_fraction() -> None:
    assert metrics.out_of_range_fraction({"calls": 8, "out": 2}) == 0.25
    assert metrics.out_of_range_fraction({"calls": 0, "out": 0}) == 0.0


weighted = st.lists(st.tuples(st.floats(0, 1e3), st.integers(1, 9)), min_size=1, max_size=30)


@given(weighted, st.sampled_from([1, 50, 90, 99, 100]))
def test_a_weight_is_that_many_equal_values(pairs: list[tuple[float, int]], q: int) -> None:
    values, weights = (np.array(column) for column in zip(*pairs, strict=True))
    spelt_out = np.repeat(values, weights)
    expected = np.percentile(spelt_out, q, method="inverted_cdf")
    assert metrics.weighted_percentile(values, weights, q) == expected


spans = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 20), st.integers(1, 9), st.sampled_from(["busy", "idle", "starting"])),
    max_size=12,
)


@given(spans=spans)
def test_occupancy_agrees_with_looking_at_every_half_second(
    spans: list[tuple[int, int, int, str]], usage_of: Build
) -> None:
    rows = [
        {"id": i, "gpu": gpu, "state": state, "from_s": start, "to_s": start + length, "device_bytes": 1 << i}
        for i, (gpu, start, length, state) in enumerate(spans)
    ]
    use = occupancy(usage_of(*rows), window_s=15.0)
    for gpu in range(4):
        for at_s in np.arange(0.5, 15.0):
            there = [row for row in rows if row["gpu"] == gpu and row["from_s"] <= at_s < row["to_s"]]
            found = np.flatnonzero((use.gpu == gpu) & (use.from_s <= at_s) & (at_s < use.to_s))
            assert len(found) == bool(there)
            if there:
                assert use.instances[found[0]] == len(there)
                assert use.busy[found[0]] == sum(row["state"] == "busy" for row in there)
                assert use.instance_bytes[found[0]] == sum(row["device_bytes"] for row in there)
