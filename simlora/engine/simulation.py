"""One run: build the parts, replay the workload, let it drain, and hand over the record."""

from __future__ import annotations

import gc
from array import array
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import simpy
from simpy.core import EmptySchedule

from simlora.backends.base import Backend
from simlora.backends.simulated import SimulatedBackend
from simlora.clock import VirtualTime
from simlora.cluster.cluster import Cluster
from simlora.cluster.config import ClusterConfig
from simlora.cluster.failures import Failure
from simlora.cluster.machines import load_machines, parts_of, profiles_of
from simlora.cluster.processes import Instance
from simlora.engine.engine import Engine
from simlora.engine.estimates import ProfileEstimates
from simlora.engine.mishaps import Mishaps
from simlora.entities import Function, QueuedRequest
from simlora.errors import SimloraError
from simlora.latency import CONTENTION
from simlora.policies.base import Binds, Foresees, PolicyContext
from simlora.policies.estimates import Rates
from simlora.policies.foresight import Future
from simlora.results.prices import load_price
from simlora.results.recorder import Recorder, RunRecord
from simlora.systems.config import SystemConfig, build_policies
from simlora.views import InstanceState
from simlora.workload.workload import Workload, stream

if TYPE_CHECKING:
    from simlora.backends.segments import StepModel


class StalledError(SimloraError):
    """The run cannot reach its end: requests wait and nothing is going to happen (design law 6)."""


CHUNK = 8_192
"""Requests whose columns become Python numbers at a time."""
STEPS_A_LOOK, LOOKS, PATIENCE_S = 1_000, 10_000, 86_400.0
"""A run has stalled if no batch runs and no request ends for so many events, or so long after the last arrival."""


@contextmanager
def rare_collections() -> Iterator[None]:
    """Look for cyclic garbage seldom: a run makes little of it, and looking costs a tenth of its time."""
    before = gc.get_threshold()
    gc.set_threshold(100_000, 20, 20)
    try:
        yield
    finally:
        gc.set_threshold(*before)


class Simulation:
    """A system on a cluster with a workload, in virtual time. ``policies`` may be wrapped before :meth:`run`."""

    def __init__(
        self,
        system: SystemConfig,
        *,
        functions: Sequence[Function],
        workload: Workload,
        cluster: ClusterConfig,
        profile: str,
        seed: int,
        base_dir: Path = Path(),
        stepwise: bool = False,
        failures: Sequence[Failure] = (),
        model_of: Callable[[Instance], StepModel] | None = None,
    ):
        self.system = system
        self.functions = functions
        self.workload = workload
        self.seed = seed
        self.env = self.environment()
        self.machines = load_machines(cluster, profile, system.engine)
        self.estimates = ProfileEstimates(system, self.machines, functions)
        self.cluster = Cluster(
            self.env,
            functions,
            self.machines,
            has_all=cluster.checkpoints == "ssd",
            one_for_all=self.estimates.one_for_all,
            reserved_gpus=system.reserves(system.limits.gpus or cluster.gpus),
            use_gpus=system.limits.gpus,
            host_cache_fraction=system.host_cache_fraction,
            storage=system.storage,
        )
        if system.host_copies == "all":
            self.cluster.cache_all()
        self._contention = CONTENTION[cluster.contention]
        self._model_of = model_of or self.estimates.model_of
        self._stepwise = stepwise
        self._failures = failures
        self.backend: Backend = self.worker()
        self.policies: dict[str, Any] = build_policies(system, base_dir)
        self.rates: Rates | None = None
        if system.price is not None:
            self.rates = load_price(system.price, base_dir).rates(gpu.kind for gpu in self.cluster.every_gpu)
        self.record = Recorder(len(workload), functions)

    def environment(self) -> VirtualTime:
        """Its clock."""
        return VirtualTime()

    def worker(self) -> Backend:
        """What does the work that the engine orders."""
        return SimulatedBackend(
            self.env,
            self.cluster.every_gpu,
            output_tokens=array("i", self.workload.output_tokens.astype(np.int32, copy=False).tobytes()),
            model_of=self._model_of,
            loader=self.estimates.loader,
            adapter_loader=self.estimates.adapter_loader,
            contention=self._contention,
            batch_ends_as_one=self.system.completion == "batch_end",
            assists=self.system.adapter_loading == "cpu-assisted",
            prefill_alone=self.estimates.profile.engine.batching.prefill_alone,
            hop_s=self.estimates.hop_s,
            seed=self.seed,
            stepwise=self._stepwise,
        )

    def run(self, horizon_s: float | None = None, progress: Callable[[float], None] | None = None) -> RunRecord:
        """To the last request's end, and on until what is idle has been let go; or to ``horizon_s``.

        Raises :class:`PolicyError` for a decision that must be refused, :class:`StalledError` for a run without end.
        """
        self._bind()
        engine = Engine(self.env, self.system, self.cluster, self.backend, self.policies, self.estimates, self.record)
        engine.planner.begin()
        Mishaps(engine, self._failures, self.seed)
        if len(self.workload):
            self.env.process(self._arrivals(engine, progress))
            with rare_collections():
                self._to_the_end(engine, horizon_s)
        engine.usage.close()
        self.cluster.check_bytes()
        return RunRecord(*self.record.tables(self.workload), self._facts())

    def _bind(self) -> None:
        forecast, predictor = self.policies["forecast"], self.policies["predictor"]
        for role, policy in self.policies.items():
            if isinstance(policy, Binds):
                rng = stream(self.seed, f"policy/{role}")
                policy.bind(PolicyContext(self.functions, self.estimates, forecast, predictor, rng, self.rates))
            if isinstance(policy, Foresees):
                policy.foresee(self.future)

    @cached_property
    def future(self) -> Future:
        """All calls, for the policies that are told."""
        columns = self.workload.function.tolist(), self.workload.arrived_s.tolist()
        calls = ((self.functions[function], at_s) for function, at_s in zip(*columns, strict=True))
        return Future(calls, self.workload.output_tokens.tolist())

    def _arrivals(self, engine: Engine, progress: Callable[[float], None] | None) -> Generator[simpy.Event, Any, None]:
        workload, env, functions = self.workload, self.env, self.functions
        arrive = engine.front.arrive
        every = max(1, len(workload) // 50)
        for first in range(0, len(workload), CHUNK):
            part = slice(first, first + CHUNK)
            columns = (workload.arrived_s, workload.function, workload.prompt_tokens, workload.max_new_tokens)
            rows = zip(*(column[part].tolist() for column in columns), strict=True)
            for index, (at_s, function, prompt_tokens, max_new_tokens) in enumerate(rows, first):
                if at_s > env.now:
                    yield env.timeout(at_s - env.now)
                arrive(QueuedRequest(index, functions[function], at_s, prompt_tokens, max_new_tokens))
                if progress is not None and index % every == 0:
                    progress(at_s)

    def _to_the_end(self, engine: Engine, horizon_s: float | None) -> None:
        if horizon_s is not None:
            self.env.run(until=horizon_s)
            return
        try:
            self._until_all_ended(engine)
        except (EmptySchedule, StalledError):
            if not engine.failing.to_blame:
                raise StalledError(self._stalled(engine)) from None
            engine.failing.fail_the_rest()
        self.let_go(engine)

    def let_go(self, engine: Engine) -> None:
        """All requests have ended: on until nothing idle is kept and nothing starts any longer; both are billed too."""
        while engine.idler.waiting or self._starting:
            self.env.step()

    @property
    def _starting(self) -> bool:
        """Whether an instance starts that scaling or a request wanted."""
        instances = (instance for gpu in self.cluster.gpus for instance in gpu.instances.values())
        return any(instance.on_demand and instance.state is InstanceState.STARTING for instance in instances)

    def _until_all_ended(self, engine: Engine) -> None:
        """Step by step, up to where requests have stood still for too long: policies can keep a clock busy for ever.

        That is told by the time alone, so that where failures are to blame their requests fail at a time that does not
        hang on how many events a batch takes; only where the time itself stands still are events counted.
        """
        step, peek, moved_s, looks = self.env.step, self.env.peek, -inf, 0
        while engine.unresolved:
            if engine.moved_s != moved_s:
                moved_s, looks = engine.moved_s, 0
            looks += 1
            give_up_s = max(moved_s, self._last_arrival_s) + PATIENCE_S
            if looks > LOOKS or give_up_s < peek() < inf:
                raise StalledError(self._stalled(engine))
            for _ in range(STEPS_A_LOOK):
                step()
                if not engine.unresolved:
                    return
                if peek() > give_up_s:
                    break

    @property
    def _last_arrival_s(self) -> float:
        return float(self.workload.arrived_s[-1])

    def _stalled(self, engine: Engine) -> str:
        waiting = [r for q in (self.cluster.front, self.cluster.held_back) for r in q.in_order()]
        first = f", the first {waiting[0]}" if waiting else ""
        return (
            f'system "{self.system.name}": no request will move after {self.env.now:.3f} s, '
            f"but {engine.unresolved} have not ended ({len(waiting)} wait at the front end{first})"
        )

    def _facts(self) -> dict[str, Any]:
        profiles = profiles_of(self.machines)
        out = sum(sum(profile.out_of_range().values()) for profile in profiles)
        return {
            "system": self.system.name,
            "title": self.system.title,
            "evaluation": self.system.evaluation,
            "profile": " + ".join(profile.name for profile in profiles),
            "engine": self.system.engine,
            "seed": self.seed,
            "end_s": float(np.fmax.reduce(self.record.finished_s, initial=0.0)),
            "gpus": len(self.cluster.every_gpu),
            "gpu_models": [gpu.kind for gpu in self.cluster.every_gpu],
            "gpu_capacity_bytes": [gpu.capacity_bytes for gpu in self.cluster.every_gpu],
            "billing": self.system.billing,
            "out_of_range": {"calls": self.backend.runs, "out": out},
            "steps": self.backend.steps,
            "trust": [part._asdict() for part in parts_of(self.machines, self.estimates.loader)],
            "workload": self.workload.provenance,
        }


def simulate(
    system: SystemConfig,
    *,
    functions: Sequence[Function],
    workload: Workload,
    cluster: ClusterConfig,
    profile: str,
    seed: int,
    base_dir: Path = Path(),
    stepwise: bool = False,
    failures: Sequence[Failure] = (),
    horizon_s: float | None = None,
    progress: Callable[[float], None] | None = None,
) -> RunRecord:
    """Run one system on one workload in virtual time. ``progress`` is told the virtual time now and then."""
    simulation = Simulation(
        system,
        functions=functions,
        workload=workload,
        cluster=cluster,
        profile=profile,
        seed=seed,
        base_dir=base_dir,
        stepwise=stepwise,
        failures=failures,
    )
    return simulation.run(horizon_s, progress)
