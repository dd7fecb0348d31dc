"""A run on the wall clock: the engine and the policies of a simulation, the work done by processes on a device."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from simlora.backends.torch_gpu.backend import TorchBackend
from simlora.clock import WallClock
from simlora.cluster.config import ClusterConfig
from simlora.engine import RunRecord, Simulation
from simlora.engine.engine import Engine
from simlora.entities import Backbone, Function
from simlora.errors import ConfigError
from simlora.systems.config import SystemConfig
from simlora.validate.memory import DeviceMemory
from simlora.validate.reasked import Reasked
from simlora.workload import Workload


class RealRun(Simulation):
    """A :class:`simlora.engine.Simulation` whose seconds are real.

    ``models`` and ``adapters`` name the folders of backbones and of functions' adapters; GPU ``i`` of the cluster is
    torch's device ``cuda:i``, or the processor for ``device = "cpu"``. Estimates are the profile's, as in a simulation.
    """

    def __init__(
        self,
        system: SystemConfig,
        *,
        functions: Sequence[Function],
        workload: Workload,
        cluster: ClusterConfig,
        profile: str,
        seed: int,
        models: Mapping[Backbone, Path],
        adapters: Mapping[Function, Path],
        device: str,
        base_dir: Path = Path(),
    ):
        for function in functions:
            if function.backbone.tensor_parallel > 1:
                raise ConfigError(f'function "{function.id}": only a simulation splits a backbone over several GPUs')
        self._models = models
        self._adapters = adapters
        self._device = device
        self._base_dir = base_dir
        super().__init__(
            system,
            functions=functions,
            workload=workload,
            cluster=cluster,
            profile=profile,
            seed=seed,
            base_dir=base_dir,
        )

    def environment(self) -> WallClock:
        return WallClock()

    def worker(self) -> TorchBackend:
        assert isinstance(self.env, WallClock)
        return TorchBackend(
            self.env,
            output_tokens=self.workload.output_tokens.tolist(),
            models=self._models,
            adapters=self._adapters,
            device_of=lambda gpu: f"cuda:{gpu}" if self._device == "cuda" else self._device,
            batch_ends_as_one=self.system.completion == "batch_end",
            host_copies=self.system.host_cache_fraction > 0,
        )

    def let_go(self, engine: Engine) -> None:
        """Nobody waits for keep-alive to pass; what is idle ends here."""

    def facts(self) -> dict[str, Any]:
        """How late events came on the wall clock, decisions asked twice, device memory over time: in seconds, bytes."""
        assert isinstance(self.env, WallClock)
        late, env = np.asarray(self.env.lateness_s), self.env
        found: dict[str, Any] = {
            f"lateness_p{q}_s": float(np.quantile(late, q / 100)) if len(late) else 0.0 for q in (50, 99)
        }
        rows = [(env.at_s(at), held) for at, held in self._memory]
        before = [held for at_s, held in rows if at_s <= 0.0]
        return found | self._reasked.facts() | {"memory": rows, "memory_before_bytes": min(before, default=0)}

    def run(self, horizon_s: float | None = None, progress: Callable[[float], None] | None = None) -> RunRecord:
        """As a simulation's; no process is left behind, whatever happens."""
        backend: Any = self.backend
        self._reasked = Reasked(self, self._base_dir)
        watch = DeviceMemory()
        try:
            backend.prepare(self.cluster.every_gpu, self._models if self.system.sharing == "ipc" else ())
            return super().run(horizon_s, progress)
        finally:
            self._memory = watch.close()
            backend.close()
