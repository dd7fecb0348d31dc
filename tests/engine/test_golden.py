"""One cold and one warm request of ServerlessLoRA, worked out by hand to the microsecond.

Llama-2-7B on an L40S: 13,476,831,232 bytes of weights, read at 3.4 GB/s in 3.963774 s, and 16,777,216 of adapter,
read in 0.0395 s + bytes / 1.852 GB/s = 0.048559 s. Prefill takes 0.2 s, a decode step 0.05 s; the policy waits 0.25 s
for company. A request of 100 tokens in and at most 10 out holds 110 x 524,288 bytes of KV and 100 x 188,416 of
activations: 76,513,280.
"""

from __future__ import annotations

from typing import Any

import pytest

from simlora.engine import RunRecord
from simlora.testing.scenario import Scenario, make_functions, make_workload
from simlora.testing.steps import ConstantSteps

US = 1e-6
BACKBONE = 13_476_831_232 + 473_000_000
STAGES = 473_000_000 + 16_777_216 + 20_000_000
REQUEST = 76_513_280

COLD = {"arrived_s": 0.0, "bound_s": 0.25, "ready_s": 9.722333, "started_s": 9.722333, "first_token_s": 9.922333,
        "finished_s": 10.372333}  # fmt: skip
WARM = {"arrived_s": 30.0, "bound_s": 30.25, "ready_s": 30.25, "started_s": 30.25, "first_token_s": 30.45,
        "finished_s": 30.9}  # fmt: skip
FINISHED = [
    ("container", 1.22), ("library", 4.24), ("context", 4.61), ("", 8.573774), ("backbone", 8.673774),
    ("adapter", 8.722333), ("kernels", 9.222333), ("first_run", 9.722333),
]  # fmt: skip
USAGE = [
    ("instance", "starting", 0.25, 9.722333, STAGES + REQUEST),
    ("instance", "busy", 9.722333, 10.372333, STAGES + REQUEST),
    ("instance", "idle", 10.372333, 30.25, STAGES),
    ("instance", "busy", 30.25, 30.9, STAGES + REQUEST),
    ("instance", "idle", 30.9, 90.9, STAGES),
    ("backbone", "starting", 0.25, 8.573774, BACKBONE),
    ("backbone", "idle", 8.573774, 9.722333, BACKBONE),
    ("backbone", "busy", 9.722333, 10.372333, BACKBONE),
    ("backbone", "idle", 10.372333, 30.25, BACKBONE),
    ("backbone", "busy", 30.25, 30.9, BACKBONE),
    ("backbone", "idle", 30.9, 150.9, BACKBONE),
]


@pytest.fixture(scope="module")
def record(exact_engine: str) -> RunRecord:
    steps = ConstantSteps(0.05, prefill_s=0.2)
    overrides = {"engine": exact_engine, "batching": {"policy": "fixed", "size": 4, "delay_s": 0.25}}
    traffic = make_workload([(0.0, 0, 100, 10), (30.0, 0, 100, 10)])
    functions = make_functions("llama-2-7b")
    return Scenario("serverless-lora", functions, traffic, overrides, steps=lambda instance: steps).run()


def test_the_times_of_both_requests(record: RunRecord) -> None:
    for row, expected in zip(record.requests.to_pylist(), (COLD, WARM), strict=True):
        assert {name: row[name] for name in expected} == pytest.approx(expected, abs=US)
    assert record.requests["cold"].to_pylist() == [True, False]
    assert record.requests["batch"].to_pylist() == [1, 1]


def test_the_stages_of_the_start(record: RunRecord) -> None:
    rows = [row for row in record.events.to_pylist() if row["kind"] in ("stage_finished", "backbone_loaded")]
    assert [row["stage"] for row in rows] == [name for name, _ in FINISHED]
    assert [row["at_s"] for row in rows] == pytest.approx([at_s for _, at_s in FINISHED], abs=US)
    assert {row["stage"]: row["source"] for row in rows if row["source"]} == {"": "ssd", "adapter": "ssd"}


def test_what_was_held_and_for_how_long(record: RunRecord) -> None:
    def key(row: Any) -> tuple[str, float]:
        return row[0], row[2]

    names = "holder", "state", "from_s", "to_s", "device_bytes"
    rows = sorted((tuple(row[name] for name in names) for row in record.usage.to_pylist()), key=key)
    expected = sorted(USAGE, key=key)
    assert [row[:2] for row in rows] == [row[:2] for row in expected]
    for row, wanted in zip(rows, expected, strict=True):
        assert row[2:] == pytest.approx(wanted[2:], abs=US)
    assert {row["host_bytes"] for row in record.usage.to_pylist() if row["holder"] == "instance"} == {600_000_000}


def test_the_end_of_all_that_was_kept(record: RunRecord) -> None:
    ends = [(row["kind"], row["at_s"]) for row in record.events.to_pylist() if row["why"] == "keep-alive is over"]
    assert [kind for kind, _ in ends] == ["instance_stopped", "backbone_evicted"]
    assert [at_s for _, at_s in ends] == pytest.approx([90.9, 150.9], abs=US)
    assert record.facts["end_s"] == pytest.approx(30.9, abs=US)
