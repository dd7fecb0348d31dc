"""Queues whose means are known, through the real engine: fixed seeds, 99 % intervals of at most 2 % of the formula."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Make = Callable[..., Any]
ON_ONE_GPU = {0.5: 25, 0.7: 45}
"""Instances that share a GPU, by load: all of them are busy with probability 3e-8 and 1e-7."""


def erlang_c(servers: int, load: float) -> float:
    """Probability that a customer of M/M/c waits, by the recursion of Erlang's B."""
    blocked = 1.0
    for k in range(1, servers + 1):
        blocked = load * servers * blocked / (k + load * servers * blocked)
    return blocked / (1.0 - load + load * blocked)


def m_m_c(servers: int, load: float) -> float:
    return 1.0 + erlang_c(servers, load) / (servers * (1.0 - load))


def m_d_1(load: float) -> float:
    """Pollaczek and Khinchine."""
    return 1.0 + load / (2.0 * (1.0 - load))


def processor_sharing(load: float) -> float:
    """M/G/1-PS: the mean knows nothing of the distribution of services but its mean."""
    return 1.0 / (1.0 - load)


def shared_gpu(gpu_share: float, load: float) -> float:
    """M/G/c-PS with c = 1 / ``gpu_share``, whole or not: k customers are served at min(k, c) in all, equally.

    A symmetric queue (Kelly, 1979), so that the distribution of services does not matter and the number there is that
    of a birth and death process; by Little's law the mean sojourn follows. With c = 1 it is processor sharing, with
    whole c its mean is that of M/M/c.
    """
    servers, weight, weights = 1.0 / gpu_share, 1.0, [1.0]
    while weight > 1e-15 * sum(weights):
        weight *= load * servers / min(len(weights), servers)
        weights.append(weight)
    there = sum(k * weight for k, weight in enumerate(weights)) / sum(weights)
    return there / (load * servers)


slow = pytest.mark.slow


@pytest.mark.parametrize(
    ("servers", "load", "count"),
    [
        (1, 0.5, 100_000),
        (2, 0.5, 50_000),
        pytest.param(1, 0.7, 500_000, marks=slow),
        pytest.param(3, 0.7, 300_000, marks=slow),
    ],
)
def test_m_m_c(servers: int, load: float, count: int, customers: Make, sojourns: Make, judge: Make) -> None:
    inputs = customers(count, load * servers, 1, exponential=True)
    verdict = judge(sojourns(inputs, servers), m_m_c(servers, load), inputs.controls)
    assert verdict.narrow, verdict
    assert verdict.covers, verdict


@pytest.mark.parametrize(("load", "count"), [(0.5, 30_000), pytest.param(0.7, 150_000, marks=slow)])
def test_m_d_1(load: float, count: int, customers: Make, sojourns: Make, judge: Make) -> None:
    inputs = customers(count, load, 2, exponential=False)
    verdict = judge(sojourns(inputs), m_d_1(load), inputs.controls)
    assert verdict.narrow, verdict
    assert verdict.covers, verdict


@pytest.mark.parametrize(
    ("load", "count", "exponential"),
    [
        pytest.param(0.5, 100_000, True, marks=slow),
        (0.5, 60_000, False),
        pytest.param(0.7, 500_000, True, marks=slow),
        pytest.param(0.7, 300_000, False, marks=slow),
    ],
)
def test_m_g_1_processor_sharing(
    load: float, count: int, exponential: bool, customers: Make, sojourns: Make, judge: Make
) -> None:
    inputs = customers(count, load, 3, exponential=exponential)
    verdict = judge(sojourns(inputs, ON_ONE_GPU[load], one_gpu=True), processor_sharing(load), inputs.controls)
    assert verdict.narrow, verdict
    assert verdict.covers, verdict


def test_sharing_a_gpu_is_the_queue_it_is_known_by() -> None:
    for load in (0.3, 0.5, 0.8):
        assert shared_gpu(1.0, load) == pytest.approx(processor_sharing(load))
        assert shared_gpu(1 / 3, load) == pytest.approx(m_m_c(3, load))


@pytest.mark.parametrize(
    ("gpu_share", "load", "count", "exponential"),
    [
        (0.5, 0.5, 30_000, False),
        (0.4, 0.5, 30_000, False),
        pytest.param(0.5, 0.5, 100_000, True, marks=slow),
        pytest.param(0.4, 0.7, 300_000, False, marks=slow),
        pytest.param(0.4, 0.7, 500_000, True, marks=slow),
    ],
)
def test_processes_that_fill_each_others_host_time(
    gpu_share: float, load: float, count: int, exponential: bool, customers: Make, sojourns: Make, judge: Make
) -> None:
    """The default contention, ``gpu-share``: nobody waits until the GPU is wanted more than all of the time."""
    inputs = customers(count, load / gpu_share, 5, exponential=exponential)
    observed = sojourns(inputs, ON_ONE_GPU[load], one_gpu=True, gpu_share=gpu_share)
    verdict = judge(observed, shared_gpu(gpu_share, load), inputs.controls)
    assert verdict.narrow, verdict
    assert verdict.covers, verdict
