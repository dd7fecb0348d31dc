"""Nothing beats the bound: no request's TTFT, TPOT or E2E, and no cost of a run in which every request finishes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from simlora.engine import RunRecord, relax
from simlora.latency import load_profile
from simlora.results.metrics import e2e, tpot, ttft
from simlora.results.prices import Price, list_prices, price_ways
from simlora.results.summary import bill_of
from simlora.results.tables import words
from simlora.systems import list_bounds, list_systems, load_system
from simlora.testing.scenario import ONE_GPU, Scenario, make_functions, make_workload
from simlora.testing.strategies import scenarios

pytestmark = pytest.mark.usefixtures("no_hang")
LAW = settings(max_examples=80, deadline=None, derandomize=True)
ROUNDING = 1e-9
GPU = "l40s"
PRICES = list_prices()


def bound_of(scenario: Scenario, engine: str = "no-engine") -> RunRecord:
    return relax(
        load_system("bound", {"engine": engine}),
        functions=scenario.functions,
        workload=scenario.workload,
        cluster=scenario.cluster,
        profile=scenario.profile,
        seed=scenario.seed,
    )


def prices_of(record: RunRecord) -> dict[str, Price]:
    """The lists that know all GPUs of a run."""
    return {name: price for name, price in PRICES.items() if price.gpus.keys() >= {*record.facts["gpu_models"]}}


def window_s(*records: RunRecord) -> float:
    return max(record.facts["end_s"] for record in records)


def beaten(record: RunRecord, bound: RunRecord) -> list[str]:
    """In what the run is better than the bound says a run can be."""
    found = []
    for name, metric in (("TTFT", ttft), ("TPOT", tpot), ("E2E", e2e)):
        least_s, own_s = metric(bound.requests), metric(record.requests)
        if np.any(own_s < least_s * (1 - ROUNDING) - ROUNDING):  # what did not finish is NaN
            found.append(name)
    if words(record.requests, "outcome").are("finished").all():
        window = window_s(record, bound)
        for names, prices in price_ways(prices_of(record), record.facts["billing"]).items():
            own_usd = bill_of(record.requests, record.usage, record.facts, window, prices).total_usd
            if own_usd < least_usd(bound, window) * (1 - ROUNDING):
                found.append(f"cost by {names}")
    return found


def least_usd(bound: RunRecord, window: float) -> float:
    ways = price_ways(prices_of(bound), bound.facts["billing"]).values()
    return min(bill_of(bound.requests, bound.usage, bound.facts, window, way).total_usd for way in ways)


@LAW
@given(scenario=scenarios())
def test_nothing_beats_the_bound(scenario: Scenario) -> None:
    """Not even the bound of its own engine, which is nearer than that of the kernels alone."""
    own = load_system(scenario.system, scenario.overrides).engine
    assert beaten(scenario.run(), bound_of(scenario, own)) == []


def crowd(system: str, gap_s: float) -> Scenario:
    functions = make_functions("llama-2-7b", "llama-2-13b", "llama-2-7b")
    rows = [(gap_s * i, i % 3, 30 + 40 * (i % 7), 1 + 30 * (i % 5)) for i in range(80)]
    return Scenario(system, functions, make_workload(rows), {}, ONE_GPU.model_copy(update={"gpus_per_node": 4}))


@pytest.mark.parametrize("system", list_systems())
@pytest.mark.parametrize("gap_s", [0.0, 0.05, 3.0, 100.0])
def test_no_system_beats_it_with_a_crowd_that_batches_well(system: str, gap_s: float) -> None:
    scenario = crowd(system, gap_s)
    bounds = [bound_of(scenario, engine) for engine in (load_system(system).engine, "no-engine")]
    assert [beaten(record, bounds[1]) for record in (scenario.run(), bounds[0])] == [[], []]


def test_a_lone_warm_request_takes_what_the_engine_adds_to_the_bound() -> None:
    """With its own engine's host time and without an adapter the relaxation is the engine's own step."""
    scenario = crowd("serverless-lora", 3.0)
    bound, engine = bound_of(scenario), bound_of(scenario, "hf-eager")
    model = load_profile(GPU, "hf-eager").model("llama-2-7b")
    host_s = model.host_s(1) + model.prefill_host_s(1)
    first = float(ttft(engine.requests)[0])
    assert first == pytest.approx(model.prefill_s([30]), rel=1e-12)
    assert first - float(ttft(bound.requests)[0]) == pytest.approx(host_s)


@pytest.mark.parametrize(("part", "factor"), [("first_token_s", 1.1), ("finished_s", 1.1)])
def test_a_run_faster_than_the_bound_is_found_out(part: str, factor: float) -> None:
    scenario = crowd("vllm", 3.0)
    bound = bound_of(scenario)
    arrived_s = bound.requests["arrived_s"].to_numpy()
    slower = arrived_s + factor * (bound.requests[part].to_numpy() - arrived_s)
    at = bound.requests.column_names.index(part)
    assert beaten(bound, replace(bound, requests=bound.requests.set_column(at, part, [slower])))


def test_bounds_are_relaxations_and_no_systems() -> None:
    assert [load_system(name).evaluation for name in list_bounds()] == ["relaxation"]
    assert {load_system(name).evaluation for name in list_systems()} == {"simulation"}
