"""Limits in which two ways must come to the same: what is known without a simulator, asked of the whole of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simlora.engine import RunRecord
from simlora.latency import load_profile
from simlora.testing.scenario import Scenario, make_functions, make_workload
from simlora.testing.strategies import scenarios

pytestmark = pytest.mark.usefixtures("no_hang")
LAW = settings(max_examples=60, deadline=None, derandomize=True)


def of_one_function(scenario: Scenario) -> Scenario:
    """All requests are for the first of its functions."""
    workload = replace(scenario.workload, function=np.zeros_like(scenario.workload.function))
    return replace(scenario, functions=scenario.functions[:1], workload=workload)


@LAW
@given(scenario=scenarios(("serverless-lora", "insta-infer")).map(of_one_function))
def test_fill_or_expire_of_size_one_is_first_come_first_served(scenario: Scenario) -> None:
    """A batch of one is full when it arrives, so nothing is waited for and all margins are in the order of arrival.

    Of one function: the margins of several also depend on how long each takes and on how busy its GPU is.
    """
    runs = [
        replace(scenario, overrides={**scenario.overrides, "batching": batching}).run()
        for batching in ({"policy": "fill-or-expire", "max_batch": 1}, {"policy": "fifo", "size": 1})
    ]
    assert [batch for run in runs for batch in run.requests["batch"].to_pylist() if batch > 1] == []
    served = [run.requests.drop_columns(["why"]).to_pandas() for run in runs]  # what never happened is NaN
    assert served[0].equals(served[1])
    assert runs[0].usage.equals(runs[1].usage)


def served_s(requests: pa.Table) -> list[float]:
    """Of all but the first: seconds from arrival to the first token, then to the last."""
    arrived_s, *ends_s = (requests[name].to_numpy()[1:] for name in ("arrived_s", "first_token_s", "finished_s"))
    return [seconds for end_s in ends_s for seconds in (end_s - arrived_s).tolist()]


def last_held_bytes(record: RunRecord) -> int:
    """What each holder held when it was last seen."""
    rows = sorted(record.usage.to_pylist(), key=lambda row: float(row["to_s"]))
    return sum({(row["holder"], row["id"]): int(row["device_bytes"]) for row in rows}.values())


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    gaps=st.lists(st.floats(60.0, 900.0), min_size=1, max_size=6),
    tokens=st.tuples(st.integers(1, 1500), st.integers(1, 200)),
    backbone=st.sampled_from(("llama-2-7b", "llama-2-13b")),
)
def test_one_function_kept_for_ever_gains_nothing_by_sharing_and_pays_a_context(
    gaps: list[float], tokens: tuple[int, int], backbone: str
) -> None:
    """After the first request: equal times, and the backbone's own process costs one context more."""
    workload = make_workload([(sum(gaps[:i]), 0, *tokens) for i in range(len(gaps) + 1)])
    for_ever = {"keepalive": "forever", "backbone_keepalive_s": 1e6}
    alone, shared = (
        Scenario("serverless-lora", make_functions(backbone), workload, {"sharing": sharing, **for_ever}).run()
        for sharing in ("none", "ipc")
    )
    for record in (alone, shared):
        assert record.requests["cold"].to_pylist() == [True] + [False] * len(gaps)
    assert served_s(alone.requests) == pytest.approx(served_s(shared.requests), rel=1e-9)
    (context_bytes,) = (stage.device_bytes for stage in load_profile("l40s").startup if stage.name == "context")
    assert last_held_bytes(shared) - last_held_bytes(alone) == context_bytes
