"""Worlds to ask policies in: random but consistent clusters, queues and pasts."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from simlora.entities import Backbone, Function, QueuedRequest
from simlora.policies.base import PolicyContext
from simlora.policies.forecast import SlidingWindow
from simlora.policies.foresight import Future
from simlora.policies.predictor import MaxNewTokens
from simlora.results.prices import load_price
from simlora.testing.estimates import TableEstimates
from simlora.testing.snapshot import Snapshot
from simlora.testing.views import (
    NOTHING_WAITS,
    FrozenContainer,
    FrozenInstance,
    FrozenPlace,
    FrozenQueues,
    FrozenRunning,
)
from simlora.views import InstanceState

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

BACKBONES = (
    Backbone("llama-2-7b", 32, 4096, 32, 32, 128, 11008, 32000),
    Backbone("llama-2-13b", 40, 5120, 40, 40, 128, 13824, 32000),
    Backbone("codellama-34b", 48, 8192, 64, 8, 128, 22016, 32000, tensor_parallel=2),
)
"""The last is split over two GPUs."""
PRICE, GPU = "alibaba-fc-2024-08", "l40s"
CAPACITY_BYTES = 48_000_000_000
NOW_S = 1000.0


@dataclass(frozen=True)
class World:
    """A cluster at one instant, what waits at each instance, the arrivals so far and the estimates."""

    view: Snapshot
    bound: dict[int, FrozenQueues]
    arrivals: Sequence[tuple[Function, float]]
    estimates: TableEstimates
    requests: int = 0

    def context(self) -> PolicyContext:
        """A fresh context, its forecast fed with the arrivals so far."""
        forecast = SlidingWindow()
        for function, at_s in self.arrivals:
            forecast.observe_arrival(function, at_s)
        rates = load_price(PRICE).rates([GPU])
        known = self.view.functions, self.estimates, forecast, MaxNewTokens()
        return PolicyContext(*known, np.random.default_rng(0), rates)

    def future(self) -> Future:
        """For policies that are told: the past again, mirrored at the present, so no other function is ever called."""
        calls = ((function, 2 * self.view.now_s - at_s) for function, at_s in self.arrivals)
        return Future(calls, [1 + 37 * index % 1000 for index in range(self.requests)])


class _Maker:
    """Draws one world; every choice comes from ``rng``."""

    def __init__(self, rng: random.Random, shared_process: bool) -> None:
        self.rng = rng
        self.estimates = TableEstimates(
            shared=rng.random() < 0.5, alpha_s=rng.choice((0.003, 0.1, 1.0)), paged=rng.random() < 0.5
        )
        self.functions = [
            Function(index, f"f{index}", rng.choice(BACKBONES), 16, ("q_proj", "v_proj"), 2.5)
            for index in range(rng.randint(1, 6))
        ]
        self.view = Snapshot(NOW_S, self.functions, shared_process)
        self.requests = 0
        self.bound: dict[int, FrozenQueues] = {}
        self.shared_process = shared_process

    def request(self, function: Function, arrived_s: float) -> QueuedRequest:
        self.requests += 1
        return QueuedRequest(
            self.requests - 1, function, arrived_s, self.rng.randint(1, 2000), self.rng.randint(1, 2000)
        )

    def world(self) -> World:
        nodes = [self.rng.randint(1, 2) for _ in range(self.rng.randint(1, 2))]
        wanted = {function.backbone: function.backbone.tensor_parallel for function in self.functions}
        reserved = self.shared_process and sum(wanted.values()) <= sum(nodes) and self.rng.random() < 0.5
        for gpus in nodes:
            cached = frozenset(b.name for b in BACKBONES if self.rng.random() < 0.3)
            wait_s, fetch_per_s = self.rng.choice((0.0, 2.0)), self.rng.choice((0.0, 1e9, 20e9))
            node = self.view.add_node(wait_s, cached, fetch_per_s, has_all=self.rng.random() < 0.5)
            paired = self.rng.random() < 0.5
            for _ in range(gpus):
                beside = node.gpus[0] if paired and node.gpus else None
                self.view.add_gpu(node, CAPACITY_BYTES, beside, reserved)
        for wide in (1, 2):
            fitting = [function for function in self.functions if function.backbone.tensor_parallel == wide]
            for place in self.view.places(wide) if fitting else ():
                self.inhabit(place, fitting)
        arrivals = sorted(
            (
                (self.rng.choice(self.functions), NOW_S - self.rng.choice((0.0, 0.5, 7.0, 90.0, 800.0)))
                for _ in range(self.rng.randint(0, 12))
            ),
            key=lambda arrival: (arrival[1], arrival[0].index),
        )
        for function, at_s in arrivals:
            if at_s >= NOW_S - 7.0:
                self.view.add_request(self.request(function, at_s))
        return World(self.view, self.bound, arrivals, self.estimates, self.requests)

    def inhabit(self, place: FrozenPlace, fitting: Sequence[Function]) -> None:
        gpu, *others = place.gpus
        backbone = self.rng.choice(fitting).backbone
        room_bytes = min(one.free_bytes for one in place.gpus)
        if self.estimates.shared and self.rng.random() < 0.6 and backbone.shard.weights_bytes <= room_bytes:
            self.view.add_backbone(gpu, backbone, others=others)
        for _ in range(self.rng.randint(0, 2)):
            free_bytes = self.rng.choice((0, 1_000_000_000, 32_000_000_000))
            self.fill(self.view.add_container(gpu, free_bytes, others), fitting)

    def fill(self, container: FrozenContainer, fitting: Sequence[Function]) -> None:
        states = [InstanceState.IDLE] * self.rng.randint(1, 3)
        if self.rng.random() < 0.5:
            states = [self.rng.choice((InstanceState.BUSY, InstanceState.STARTING))]
        for state in states:
            function = self.rng.choice(fitting)
            done: dict[str, int] = {"container": 0}
            left_bytes = min(gpu.free_bytes for gpu in container.gpus)
            depth = len(self.estimates.stages) if state is InstanceState.BUSY else self.rng.randint(1, 7)
            for stage in self.estimates.stages[1:depth]:
                size = self.estimates.stage_device_bytes(function, stage, container.gpu)
                if stage == "backbone" and self.estimates.shared and size:
                    break
                if size > left_bytes:
                    break
                left_bytes -= size
                done[stage] = size
            ready = len(done) == len(self.estimates.stages)
            if state is InstanceState.BUSY and not ready:
                state = InstanceState.STARTING
            self.instance(container, function, done, state, ready, left_bytes)

    def instance(
        self,
        container: FrozenContainer,
        function: Function,
        done: dict[str, int],
        state: InstanceState,
        ready: bool,
        left_bytes: int,
    ) -> FrozenInstance:
        alike = [f for f in self.functions if f.backbone is function.backbone] if self.shared_process else [function]
        running: list[FrozenRunning] = []
        kv_bytes = 0
        for _ in range(self.rng.randint(1, 3) if state is InstanceState.BUSY else 0):
            request = self.request(self.rng.choice(alike), NOW_S - 10.0)
            size = self.estimates.request_bytes(request)
            if kv_bytes + size <= left_bytes:
                kv_bytes += size
                prefill_left = self.rng.choice((0, request.prompt_tokens))
                running.append(FrozenRunning(request, request.prompt_tokens, prefill_left))
        if state is InstanceState.BUSY and not running:
            state = InstanceState.IDLE
        waiting: dict[Function, deque[QueuedRequest]] = {}
        for _ in range(self.rng.randint(0, 4)):
            request = self.request(self.rng.choice(alike), NOW_S - 5.0)
            waiting.setdefault(request.function, deque()).append(request)
        queue = self.view.add_queues(waiting)
        used = dict.fromkeys(r.request.function for r in running)
        others = [f for f in alike if self.shared_process and ready and f not in used and self.rng.random() < 0.6]
        loading = others[:1] if self.rng.random() < 0.3 else []
        absent = [f for f in alike if f not in used and f not in others]
        planned = absent[:1] if self.shared_process and running and self.rng.random() < 0.3 else []
        placed = len(used) + len(others)
        made = self.view.add_instance(
            None if self.shared_process else function,
            container,
            done,
            backbone=function.backbone,
            state=state,
            ready=ready,
            queue=NOTHING_WAITS if state is InstanceState.IDLE else queue,
            running=running,
            resident=others[len(loading) :],
            loading=loading,
            planned=planned,
            adapter_slots=self.rng.randint(max(1, placed), max(3, placed)),
            last_used_s=NOW_S - self.rng.choice((3.0, 30.0)),
            has_run=ready,
            kv_bytes=kv_bytes,
            on_host=[served for served in alike if self.rng.random() < 0.2],
        )
        self.bound[made.id] = queue
        return made


def make_world(rng: random.Random) -> World:
    """A world drawn from ``rng``: up to 6 functions of two backbones, up to 4 GPUs of 48 GB with processes on them."""
    return _Maker(rng, shared_process=rng.random() < 0.25).world()


def worlds() -> SearchStrategy[World]:
    """Worlds as a hypothesis strategy, which shrinks to small ones."""
    from hypothesis import strategies as st

    return st.randoms(use_true_random=False).map(make_world)
