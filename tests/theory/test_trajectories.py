"""Each customer's sojourn, one by one, against the recursion that defines the queue; at loads where means are noisy."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

Make = Callable[..., Any]
CUSTOMERS = 3_000


def first_come_first_served(arrived: list[float], services: list[float], servers: int) -> list[float]:
    """Kiefer and Wolfowitz: each customer takes the server that is free first."""
    free_at, found = [0.0] * servers, []
    for at, service in zip(arrived, services, strict=True):
        end = max(at, heapq.heappop(free_at)) + service
        heapq.heappush(free_at, end)
        found.append(end - at)
    return found


def processor_sharing(arrived: list[float], services: list[float], share: float = 1.0) -> list[float]:
    """Between two events each of n customers gets 1/n of the time; the work left of each is kept.

    If each wants only a ``share`` of the time, none is slowed down before there are more than 1 / ``share``.
    """
    now, left, found = 0.0, dict[int, float](), [0.0] * len(arrived)
    coming = 0
    while coming < len(arrived) or left:
        next_arrival = arrived[coming] if coming < len(arrived) else np.inf
        first = min(left, key=lambda i: left[i], default=-1)
        slowdown = max(1.0, share * len(left))
        next_end = now + left[first] * slowdown if left else np.inf
        at = min(next_arrival, next_end)
        left = {i: work - (at - now) / slowdown for i, work in left.items()}
        now = at
        if next_end <= next_arrival:
            found[first] = now - arrived[first]
            del left[first]
        else:
            left[coming] = services[coming]
            coming += 1
    return found


@pytest.mark.parametrize("load", [0.5, 0.9])
@pytest.mark.parametrize("servers", [1, 3])
@pytest.mark.parametrize("exponential", [True, False])
def test_waiting_in_line(load: float, servers: int, exponential: bool, customers: Make, sojourns: Make) -> None:
    inputs = customers(CUSTOMERS, load * servers, 7, exponential=exponential)
    expected = first_come_first_served(inputs.arrived.tolist(), inputs.services.tolist(), servers)
    np.testing.assert_allclose(sojourns(inputs, servers), expected, atol=1e-8)


@pytest.mark.parametrize("load", [0.5, 0.8])
@pytest.mark.parametrize("exponential", [True, False])
def test_sharing_a_processor(load: float, exponential: bool, customers: Make, sojourns: Make) -> None:
    inputs = customers(CUSTOMERS, load, 8, exponential=exponential)
    expected = processor_sharing(inputs.arrived.tolist(), inputs.services.tolist())
    np.testing.assert_allclose(sojourns(inputs, 45, one_gpu=True), expected, atol=1e-8)


@pytest.mark.parametrize(("gpu_share", "load"), [(0.5, 0.5), (0.4, 0.8), (0.15, 0.8)])
@pytest.mark.parametrize("exponential", [True, False])
def test_sharing_a_gpu(gpu_share: float, load: float, exponential: bool, customers: Make, sojourns: Make) -> None:
    inputs = customers(CUSTOMERS, load / gpu_share, 9, exponential=exponential)
    expected = processor_sharing(inputs.arrived.tolist(), inputs.services.tolist(), gpu_share)
    np.testing.assert_allclose(sojourns(inputs, 60, one_gpu=True, gpu_share=gpu_share), expected, atol=1e-8)
