"""Queues of textbooks, served by the real engine, and the judgement whether a mean is the formula's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from simlora.cluster.config import ClusterConfig
from simlora.entities import Backbone
from simlora.results.statistics import batch_means
from simlora.testing.scenario import Scenario, make_functions, make_workload
from simlora.testing.steps import ConstantSteps

Floats = NDArray[np.float64]

TINY = Backbone("tiny", layers=1, hidden=1, heads=1, kv_heads=1, head_dim=1, intermediate=1, vocab=1)
TOKENS = 10_000
"""In a service of mean length, so that whole tokens are as good as continuous time: one part in 10,000."""
WARM_S = 120.0
"""Before the first customer: instances start one per second, and each takes five."""
BATCHES = 40
WIDEST = 0.02
"""Half-width of an interval over the formula, at most."""


class Inputs(NamedTuple):
    """Customers of one run: times between arrivals and service times, in mean services; what their means must be."""

    gaps: Floats
    services: Floats
    mean_gap: float
    mean_service: float = 1.0

    @property
    def arrived(self) -> Floats:
        """Times of arrival, the first after its gap."""
        return np.cumsum(self.gaps)

    @property
    def controls(self) -> list[Floats]:
        """What is known to be zero in the mean and moves with the sojourn times."""
        varied = [self.services - self.mean_service] if self.services.std() > 0 else []
        return [self.gaps - self.mean_gap, *varied]


class Verdict(NamedTuple):
    """A judged mean, its 99 % interval's half-width, and the formula."""

    mean: float
    half_width: float
    formula: float

    @property
    def narrow(self) -> bool:
        """Precise enough to say anything."""
        return self.half_width <= WIDEST * self.formula

    @property
    def covers(self) -> bool:
        """The formula lies in the interval."""
        return abs(self.mean - self.formula) <= self.half_width


def adjusted(observed: Floats, controls: Sequence[Floats]) -> Floats:
    """``observed`` less what its controls explain, by regression of batch means: same mean, less noise."""
    length = len(observed) // BATCHES
    columns = [x[-length * BATCHES :].reshape(BATCHES, length).mean(axis=1) for x in (observed, *controls)]
    slopes = np.linalg.lstsq(np.column_stack([np.ones(BATCHES), *columns[1:]]), columns[0], rcond=None)[0][1:]
    return observed - sum(slope * control for slope, control in zip(slopes, controls, strict=True))


@pytest.fixture(scope="session")
def customers() -> Callable[..., Inputs]:
    """Poisson arrivals at ``rate`` per mean service; services constant, or exponential to within 1/``TOKENS``."""

    def draw(count: int, rate: float, seed: int, *, exponential: bool) -> Inputs:
        rng = np.random.default_rng(seed)
        gaps = rng.exponential(1.0 / rate, count)
        services = np.ones(count)
        if exponential:
            services = np.maximum(1.0, np.rint(rng.exponential(TOKENS, count))) / TOKENS
        return Inputs(gaps, services, 1.0 / rate)

    return draw


@pytest.fixture(scope="session")
def sojourns() -> Callable[..., Floats]:
    """Sojourn times of ``inputs`` at ``servers`` warm instances, each on a GPU of its own or all on one.

    On one they take turns, or, with ``gpu_share``, fill each other's host time: each wants the GPU for that part of its
    steps.
    """

    def serve(inputs: Inputs, servers: int = 1, *, one_gpu: bool = False, gpu_share: float | None = None) -> Floats:
        tokens = np.rint(inputs.services * TOKENS).astype(int)
        customers = [(at, 0, 1, n) for at, n in zip((inputs.arrived + WARM_S).tolist(), tokens.tolist(), strict=True)]
        priming = (0.0, 0, 1, int(0.8 * WARM_S) * TOKENS)
        host_part = 0.0 if gpu_share is None else 1.0 - gpu_share
        steps = ConstantSteps(1.0 / TOKENS, host_part_s=host_part / TOKENS)
        overrides = {
            "scaling": {"policy": "ongoing", "min_instances": servers, "max_instances": servers},
            "placement": "most-free",
            "keepalive": "forever",
            "limits.instances_per_gpu": servers if one_gpu else 1,
        }
        contention = "time-slice" if gpu_share is None else "gpu-share"
        cluster = ClusterConfig(nodes=1, gpus_per_node=1 if one_gpu else servers, contention=contention)
        world = Scenario(
            "serverless-llm",
            make_functions(TINY),
            make_workload([priming, *customers]),
            overrides,
            cluster,
            steps=lambda instance: steps,
        )
        record = world.run().requests
        assert not any(record["cold"].to_pylist()[1:])
        return np.asarray(record["finished_s"])[1:] - np.asarray(record["arrived_s"])[1:]

    return serve


@pytest.fixture(scope="session")
def judge() -> Callable[[Floats, float, Sequence[Floats]], Verdict]:
    """A mean against its formula, by the method of batch means on what the controls leave of the noise."""

    def judged(observed: Floats, formula: float, controls: Sequence[Floats]) -> Verdict:
        return Verdict(*batch_means(adjusted(observed, controls), BATCHES, 0.99), formula)

    return judged
