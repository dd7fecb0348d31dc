"""Measurements of a real engine as a results folder, so that ``compare`` sets them beside simulated runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simlora.errors import ConfigError, TraceError
from simlora.latency.hardware import load_gpu
from simlora.latency.sources import read_json
from simlora.results.tables import Floats
from simlora.study.functions import check_slo_stated, make_functions, read_functions
from simlora.study.store import DONE, one_message
from simlora.study.summary import write_rows

if TYPE_CHECKING:
    from simlora.entities import Function
    from simlora.results.recorder import RunRecord
    from simlora.workload import Workload
    from simlora.workload.readers.requests import RequestTable

LISTS = ("input_lens", "output_lens", "ttfts", "itls", "errors")
"""Of a result saved with ``--save-detailed``; an entry for each request in the order of sending."""


@dataclass(frozen=True)
class Measured:
    """Where a measurement was taken, and what it is called: the names of its run, its GPUs, a price list."""

    system: str
    scenario: str
    seed: int
    gpu: str
    gpus: int
    prices: str


def import_vllm_bench(file: Path, trace: Path, functions: Path, out: Path, measured: Measured) -> int:
    """Write what ``vllm bench serve`` measured on a trace as the one run of a results folder; returns its requests.

    ``file``: its JSON, saved with ``--save-result --save-detailed``; ``trace``: the requests that were sent, in the
    order of sending; ``functions``: the functions table they are for. Requests were sent when the result says
    (``start_times``, vLLM 0.11 and later), before that when the trace says. What the file does not tell (GPU memory,
    the wait within the engine, batches) is 0 in the results.

    Raises :class:`ConfigError` or :class:`TraceError` for files that do not belong together or are not what they
    should be.
    """
    from simlora.results.prices import choose_prices, load_price
    from simlora.results.summary import KEYS, summarise, summarise_functions
    from simlora.workload.readers.requests import read_requests

    load_gpu(measured.gpu)
    rows = read_functions(functions)
    check_slo_stated(rows, str(functions))
    known = make_functions(rows, functions.parent)
    sent = read_requests(trace, [function.id for function in known])
    result = _read(file, len(sent.arrived_s), trace)
    record = _record(result, sent, known, measured)
    lists = choose_prices([load_price(measured.prices)], "always-on")[0]
    names = dict(zip(KEYS, (measured.system, measured.scenario, "base", measured.seed), strict=True))
    window_s = record.facts["end_s"]
    row = summarise(record.requests, record.usage, record.facts, known, window_s, lists)
    each = summarise_functions(record.requests, record.facts, known)
    folder = out / "cells" / measured.system / measured.scenario / "base" / str(measured.seed)
    with one_message(out):
        if (out / "cells").exists():
            raise ConfigError(f"{out}: there are results already; name another folder with --out")
        folder.mkdir(parents=True)
        record.write(folder)
        write_rows(out / "summary.csv", [{**names, **row}])
        write_rows(out / "summary_by_function.csv", [{**names, "function": name, **one} for name, one in each.items()])
        (folder / DONE).touch()
    return len(sent.arrived_s)


def _read(file: Path, count: int, trace: Path) -> dict[str, Any]:
    """The result, checked: every list there and as long as the trace."""
    result = read_json(file)
    for name in LISTS:
        if not isinstance(result.get(name), list):
            raise TraceError(f'{file}: no list "{name}", which vllm bench serve saves with --save-detailed')
        if len(result[name]) != count:
            raise TraceError(f'{file}: "{name}" has {len(result[name])} entries, and {trace} has {count} requests')
    for name in ("input_lens", "output_lens"):
        if not all(isinstance(value, int) and 0 <= value < 2**31 for value in result[name]):
            raise TraceError(f'{file}: "{name}" must be whole numbers of tokens (found {result[name][:5]}...)')
    for at, gaps in enumerate(result["itls"]):
        values = [result["ttfts"][at], *(gaps if isinstance(gaps, list) else [None])]
        if not all(isinstance(value, int | float) and 0 <= value < inf for value in values):
            raise TraceError(f'{file}: request {at}: "ttfts" and "itls" must be seconds, 0 or more (found {values})')
    return result


def _record(
    result: Mapping[str, Any], sent: RequestTable, functions: Sequence[Function], measured: Measured
) -> RunRecord:
    from simlora.results.recorder import FAILED, FINISHED, GPU, INSTANCE, RESERVED, Recorder, RunRecord

    workload = _workload(result, sent)
    recorder = Recorder(len(workload), functions)
    first_s = workload.arrived_s + np.asarray(result["ttfts"], np.float64)
    last_s = first_s + np.array([sum(gaps) for gaps in result["itls"]])
    for request, error in enumerate(result["errors"]):
        arrived_s = float(workload.arrived_s[request])
        recorder.bound_s[request] = recorder.ready_s[request] = recorder.started_s[request] = arrived_s
        recorder.instance[request] = recorder.gpu[request] = 0
        recorder.outcome[request] = FAILED if error else FINISHED
        recorder.first_token_s[request] = nan if error else float(first_s[request])
        recorder.finished_s[request] = nan if error else float(last_s[request])
    end_s = max(float(last_s.max()), float(workload.arrived_s[-1]))
    for gpu in range(measured.gpus):
        recorder.usage(GPU, gpu, -1, gpu, RESERVED, 0.0, end_s, 0, 0)
        for state, from_s, to_s in _states(workload.arrived_s, last_s, end_s):
            recorder.usage(INSTANCE, 0, -1, gpu, state, from_s, to_s, 0, 0)
    return RunRecord(*recorder.tables(workload), _facts(result, measured, end_s))


def _workload(result: Mapping[str, Any], sent: RequestTable) -> Workload:
    """What was sent when, with the lengths that the engine counted."""
    from simlora.workload import Workload

    arrived_s = sent.arrived_s
    if isinstance(starts := result.get("start_times"), list) and len(starts) == len(arrived_s):
        arrived_s = np.asarray(starts, np.float64) - starts[0] + arrived_s[0]
    output = np.asarray(result["output_lens"], np.int32)
    return Workload(
        arrived_s=arrived_s,
        function=sent.function,
        prompt_tokens=np.asarray(result["input_lens"], np.int32),
        output_tokens=output,
        max_new_tokens=output,
        provenance="measured by vllm bench serve",
    )


def _states(from_s: Floats, to_s: Floats, end_s: float) -> Iterator[tuple[int, float, float]]:
    """Stretches in which a request was under way, and those in which none was."""
    from simlora.results.recorder import BUSY, IDLE

    until_s = 0.0
    for begin_s, last_s in sorted(zip(from_s.tolist(), to_s.tolist(), strict=True)):
        if begin_s > until_s:
            yield IDLE, until_s, begin_s
            until_s = begin_s
        if last_s > until_s:
            yield BUSY, until_s, last_s
            until_s = last_s
    yield IDLE, until_s, end_s


def _facts(result: Mapping[str, Any], measured: Measured, end_s: float) -> dict[str, Any]:
    about = " ".join(str(result[key]) for key in ("backend", "model_id", "date") if result.get(key))
    return {
        "billing": "always-on",
        "duration_s": end_s,
        "end_s": end_s,
        "engine": result.get("backend", "vllm"),
        "evaluation": "measurement",
        "gpu_capacity_bytes": [load_gpu(measured.gpu).usable_bytes] * measured.gpus,
        "gpu_models": [measured.gpu] * measured.gpus,
        "gpus": measured.gpus,
        "out_of_range": {"calls": 0, "out": 0},
        "profile": "none: measured",
        "seed": measured.seed,
        "steps": 0,
        "system": measured.system,
        "title": f"vllm bench serve {about}".strip(),
        "trust": [],
        "workload": "measured by vllm bench serve",
    }
