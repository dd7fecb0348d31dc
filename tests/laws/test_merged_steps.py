"""Law 10: segments of many steps give what one step at a time gives; their sums are right and have an inverse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from simlora.backends.base import PrefillChunk
from simlora.backends.decoding import Decoding
from simlora.backends.segments import SimulatedRun
from simlora.entities import QueuedRequest
from simlora.latency import ModelLatency, load_profile
from simlora.testing.scenario import Scenario, make_functions, make_workload
from simlora.testing.strategies import scenarios, troubled

pytestmark = pytest.mark.usefixtures("no_hang")
LAW = settings(max_examples=150, deadline=None, derandomize=True)
MODELS = [load_profile("l40s", engine).model("llama-2-7b") for engine in ("hf-eager", "vllm-0.8.5")]
FUNCTION = make_functions("llama-2-7b")[0]
ROUNDING = 1e-13


def same(scenario: Scenario) -> None:
    merged, stepwise = scenario.run(), scenario.run(stepwise=True)
    for name in ("requests", "usage", "events"):
        assert_frame_equal(getattr(stepwise, name).to_pandas(), getattr(merged, name).to_pandas(), check_exact=True)
    assert stepwise.facts == merged.facts


@LAW
@given(scenario=scenarios() | troubled())
def test_stepwise_and_merged_runs_write_identical_tables(scenario: Scenario) -> None:
    # Arrivals that fall on no step's end: ties are a matter of the order of insertion, which differs.
    jitter = np.random.default_rng(len(scenario.workload)).uniform(0.0, 1e-3, len(scenario.workload))
    arrived_s = np.sort(scenario.workload.arrived_s + jitter)
    same(replace(scenario, workload=replace(scenario.workload, arrived_s=arrived_s)))


@pytest.mark.parametrize("contention", ["time-slice", "gpu-share"])
@pytest.mark.parametrize("completion", ["own_end", "batch_end"])
def test_stepwise_and_merged_runs_agree_where_processes_crowd_a_gpu(contention: str, completion: str) -> None:
    rows = [(0.37 * i**1.3, i % 5, 30 + 41 * i % 700, 1 + 97 * i % 260) for i in range(120)]
    world = Scenario(
        "serverless-lora",
        make_functions(*["llama-2-7b"] * 5),
        make_workload(rows),
        {"completion": completion, "batching": {"policy": "fixed", "size": 4, "delay_s": 0.5}},
    )
    same(replace(world, cluster=world.cluster.model_copy(update={"contention": contention})))


def test_stepwise_and_merged_runs_agree_where_requests_are_preempted() -> None:
    rows = [(0.21 * i, i % 6, 300 + 37 * i % 900, 1200 + 31 * i) for i in range(40)]
    world = Scenario("vllm", make_functions(*["llama-2-13b"] * 6), make_workload(rows))
    assert sum(world.run().requests["preemptions"].to_pylist()) > 20
    same(world)


# ---------------------------------------------------------------------------------------------- S and its inverse

batches = st.lists(st.tuples(st.integers(1, 2000), st.integers(1, 400)), max_size=12)
prompts = st.lists(st.tuples(st.integers(1, 1500), st.integers(1, 400)), max_size=3)


def run_of(
    model: ModelLatency, decoding: list[tuple[int, int]], joining: list[tuple[int, int]], as_one: bool, at_most: int
) -> tuple[SimulatedRun, list[tuple[int, int]]]:
    """A run over these (context, tokens left) and (prompt, output) ones; and all as (context, left) after prefill."""
    outputs = [left + 1 for _, left in decoding] + [output for _, output in joining]
    batch = Decoding(outputs, as_one, {})
    sizes = [context - 1 for context, _ in decoding] + [prompt for prompt, _ in joining]
    requests = [QueuedRequest(i, FUNCTION, 0.0, size, outputs[i]) for i, size in enumerate(sizes)]
    for request in requests[: len(decoding)]:
        batch.join(request)
    chunks = [PrefillChunk(request, request.prompt_tokens, 0, True) for request in requests[len(decoding) :]]
    run = SimulatedRun(simpy.Environment(), model, batch, chunks, at_most, 1, 16)
    first = bool(chunks)
    after = [(context + first, left - first) for context, left in decoding]
    return run, after + [(prompt + 1, output - 1) for prompt, output in joining]


def naive_s(model: ModelLatency, decoding: list[tuple[int, int]], joining: list[tuple[int, int]], steps: int) -> float:
    """Step by step: the prefilling one if any, then a decode step over every context as it is then."""
    seconds, contexts = 0.0, [context for context, _ in decoding]
    for step in range(steps):
        if step == 0 and joining:
            tokens, squares = model.prefill_load([prompt for prompt, _ in joining])
            seconds += model.prefill_step_s(tokens, squares, len(joining), len(contexts), sum(contexts), 1, 16)
            contexts = [context + 1 for context in contexts] + [prompt + 1 for prompt, _ in joining]
        else:
            seconds += model.decode_step_s(contexts, [16])
            contexts = [context + 1 for context in contexts]
    return seconds


@LAW
@given(
    model=st.sampled_from(MODELS), decoding=batches, joining=prompts, as_one=st.booleans(), at_most=st.integers(1, 500)
)
def test_s_is_the_sum_of_its_steps_and_steps_within_its_inverse(
    model: ModelLatency, decoding: list[tuple[int, int]], joining: list[tuple[int, int]], as_one: bool, at_most: int
) -> None:
    if not decoding and not joining:
        return
    run, after = run_of(model, decoding, joining, as_one, at_most)
    ends = [left for _, left in after]
    until_end = bool(joining) + max(0, max(ends) if as_one else min(ends))
    assert run.steps == max(1, min(at_most, until_end))
    for steps in {1, 2, run.steps // 2, run.steps - 1, run.steps} & set(range(1, run.steps + 1)):
        assert run.solo_s(steps) == pytest.approx(naive_s(model, decoding, joining, steps), rel=1e-9)
        assert run.steps_within(run.solo_s(steps) * (1.0 - ROUNDING)) == steps - 1
        if steps < run.steps:
            assert run.steps_within(run.solo_s(steps) * (1.0 + ROUNDING)) == steps
    assert run.steps_within(0.0) == 0
