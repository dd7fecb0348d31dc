"""The bound: what each request takes and costs with everything resident, no contention and a free start.

Computed from the traffic in closed form. What is claimed of it, and why it holds, is on its page (``systems/bounds``).
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlora.cluster.config import ClusterConfig
from simlora.cluster.failures import Failure
from simlora.cluster.machines import load_machines, of_each_gpu, parts_of, profiles_of
from simlora.entities import Function
from simlora.latency import ModelLatency
from simlora.results.recorder import BUSY, FINISHED, GPU, INSTANCE, RESERVED, Recorder, RunRecord
from simlora.systems.config import SystemConfig
from simlora.workload.workload import Workload

Floats = NDArray[np.float64]


def relax(
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
    """The record of the relaxation; takes what :func:`simlora.engine.simulate` takes, of which it needs less.

    ``horizon_s`` and ``failures`` change nothing: requests that a run would not finish have a bound, too.
    """
    machines = load_machines(cluster, profile, system.engine)
    profiles = profiles_of(machines)
    record = Recorder(len(workload), functions)
    first_s, whole_s, held_bytes = np.zeros((3, len(workload)))
    asked = 0
    models = {f.backbone: [p.model(f.backbone, f.target_modules) for p in profiles] for f in functions}
    for backbone, on_gpus in models.items():
        served = [f.index for f in functions if f.backbone is backbone]
        mine = np.flatnonzero(np.isin(workload.function, served))
        if len(mine):
            asked += int(workload.prompt_tokens[mine].max()) * len(on_gpus)
            prompt, output = workload.prompt_tokens[mine].astype(float), workload.output_tokens[mine].astype(float)
            first_s[mine] = np.min([_prefill_s(model, workload.prompt_tokens[mine]) for model in on_gpus], axis=0)
            whole_s[mine] = first_s[mine] + np.min([_decode_s(model, prompt, output) for model in on_gpus], axis=0)
            held_bytes[mine] = backbone.kv_bytes_per_token * (prompt + (output - 1) / 2)
    _note_requests(record, workload, first_s, whole_s)
    end_s = float(np.max(workload.arrived_s + whole_s, initial=0.0))
    _note_usage(record, whole_s, held_bytes, end_s)
    facts: dict[str, Any] = {
        "system": system.name,
        "title": system.title,
        "evaluation": system.evaluation,
        "profile": " + ".join(profile.name for profile in profiles),
        "engine": system.engine,
        "seed": seed,
        "end_s": end_s,
        "gpus": cluster.gpus,
        "gpu_models": [kind.profile.kernels.gpu for kind in of_each_gpu(machines)],
        "gpu_capacity_bytes": [kind.profile.gpu.usable_bytes for kind in of_each_gpu(machines)],
        "billing": system.billing,
        "out_of_range": {"calls": asked, "out": sum(sum(profile.out_of_range().values()) for profile in profiles)},
        "steps": int(workload.output_tokens.sum()),
        "trust": [part._asdict() for part in parts_of(machines, system.loads_with())],
        "workload": workload.provenance,
    }
    return RunRecord(*record.tables(workload), facts)


def _prefill_s(model: ModelLatency, prompt: NDArray[np.int32]) -> Floats:
    """The least seconds in which the kernels prefill each prompt, whole or in whatever chunks.

    Over chunks only the attention's pairs add up to the same. What is left of a step costs h(k) for k tokens, so n
    tokens in chunks of at most n cost at least n times the least h(k) / k.
    """
    tokens = np.arange(1, int(prompt.max()) + 1)
    pair_s = model.prefill_step_s(1, 1.0, 1, 0, 0, 0, 0) - model.prefill_step_s(1, 0.0, 1, 0, 0, 0, 0)
    overhead_s = model.host_s(1) + model.prefill_host_s(1)
    step_s = np.array([model.prefill_step_s(int(n), 0.0, 1, 0, 0, 0, 0) for n in tokens]) - overhead_s
    least_s = overhead_s + tokens * np.minimum.accumulate(step_s / tokens) + pair_s * tokens.astype(float) ** 2
    return np.asarray(least_s[prompt - 1])


def _decode_s(model: ModelLatency, prompt: Floats, output: Floats) -> Floats:
    """Seconds of all tokens but the first, decoded alone without an adapter."""
    a, c = model.decode_line(1, 0, 0)
    steps = output - 1
    return np.asarray(steps * (a + c * (prompt + 1)) + 0.5 * c * steps * (steps - 1))


def _note_requests(record: Recorder, workload: Workload, first_s: Floats, whole_s: Floats) -> None:
    count, arrived_s = len(workload), workload.arrived_s
    for column in (record.bound_s, record.ready_s, record.started_s):
        column[:] = array("d", arrived_s.tobytes())
    record.first_token_s[:] = array("d", (arrived_s + first_s).tobytes())
    record.finished_s[:] = array("d", (arrived_s + whole_s).tobytes())
    record.instance[:] = record.gpu[:] = array("i", (0,)) * count
    record.batch[:] = array("i", (1,)) * count
    record.outcome[:] = array("b", (FINISHED,)) * count


def _note_usage(record: Recorder, whole_s: Floats, held_bytes: Floats, end_s: float) -> None:
    """One instance that runs all requests at once and holds their KV alone; and one reserved card, for such lists."""
    order = np.argsort(whole_s, kind="stable")
    left_bytes = np.cumsum(held_bytes[order][::-1])[::-1]
    from_s = 0.0
    for to_s, size_bytes in zip(whole_s[order].tolist(), left_bytes.tolist(), strict=True):
        record.usage(INSTANCE, 0, -1, 0, BUSY, from_s, to_s, int(size_bytes), 0)
        from_s = to_s
    record.usage(GPU, 0, -1, 0, RESERVED, 0.0, end_s, 0, 0)
