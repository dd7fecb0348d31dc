"""A scenario's traffic: arrivals from its trace, lengths from its sampler, all functions in one order of arrival."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from simlora.errors import ConfigError, TraceError
from simlora.workload.bounds import MOST_DURATION_S, MOST_REQUESTS, check_requests
from simlora.workload.catalogue import make_source
from simlora.workload.lengths import LengthSampler, make_lengths
from simlora.workload.lengths.samplers import DEFAULT_MAX_NEW_TOKENS
from simlora.workload.options import split_name
from simlora.workload.readers.requests import RequestTable
from simlora.workload.sources.base import Arrivals, Window
from simlora.workload.workload import Workload, stream


def build_workload(
    *,
    trace: str | Mapping[str, Any],
    functions: Sequence[str],
    duration_s: float,
    seed: int,
    lengths: str | Mapping[str, Any] = "gsm8k",
    rate_scale: float = 1.0,
    base_dir: Path = Path(),
    data_dir: Path | None = None,
) -> Workload:
    """The requests that arrive in [0, ``duration_s``).

    ``trace``: a name of :func:`~simlora.workload.catalogue.list_traces`, a CSV or Parquet file's path from
    ``base_dir``, or a table with ``name`` and keys. ``lengths``: a sampler's name or table; a trace that brings its own
    token counts keeps them, and of ``lengths`` only the key ``max_new_tokens`` then has a say (default: 2048 or the
    longest output). ``rate_scale``: counts are repeated or thinned, rates multiplied, request traces compressed
    in time. ``data_dir``: the folder that holds traces/, for real data.

    Arrivals and lengths of a function depend on (``seed``, its row) alone, so a further one shifts no other.
    Raises :class:`ConfigError` (name, key, value) or :class:`TraceError` (file, line, column; no request at all).
    """
    _check(functions, duration_s, rate_scale, seed)
    window = Window(functions, duration_s, rate_scale, seed, base_dir, data_dir)
    sampler = make_lengths(lengths)
    answer = make_source(trace).requests(window)
    if isinstance(answer, Arrivals):
        table, limit = _with_lengths(answer, sampler, window), sampler.limit
        source = split_name("lengths", lengths)[0]
    else:
        table, source = answer.table, "the trace's own"
        limit = sampler.max_new_tokens or max(DEFAULT_MAX_NEW_TOKENS, int(table.output_tokens.max()))
    return _workload(table, limit, window, f"{answer.provenance}; lengths: {source}")


def _check(functions: Sequence[str], duration_s: float, rate_scale: float, seed: int) -> None:
    if not functions:
        raise ConfigError("functions: the table is empty; at least one function is needed")
    for key, value, most in (("duration_s", duration_s, MOST_DURATION_S), ("rate_scale", rate_scale, MOST_REQUESTS)):
        if not 0 < value <= most:
            raise ConfigError(f'key "{key}": found {value:g}; allowed: a number above 0, up to {most:,.0f}')
    if seed < 0:
        raise ConfigError(f'key "seed": found {seed}; allowed: a whole number from 0')


def _with_lengths(arrivals: Arrivals, sampler: LengthSampler, window: Window) -> RequestTable:
    """Arrivals inside the window, in order, each function's lengths drawn from its own stream in order of arrival."""
    check_requests(sum(map(len, arrivals.per_function)))
    kept = [times[: int(np.searchsorted(times, window.duration_s))] for times in arrivals.per_function]
    drawn = [sampler.sample(stream(window.seed, "lengths", row), len(times)) for row, times in enumerate(kept)]
    arrived_s = np.concatenate(kept)
    order = np.argsort(arrived_s, kind="stable")
    rows = np.repeat(np.arange(len(kept), dtype=np.int32), [len(times) for times in kept])
    return RequestTable(
        arrived_s=arrived_s[order],
        function=rows[order],
        prompt_tokens=np.concatenate([prompts for prompts, _ in drawn])[order].astype(np.int32),
        output_tokens=np.concatenate([outputs for _, outputs in drawn])[order].astype(np.int32),
    )


def _workload(table: RequestTable, max_new_tokens: int, window: Window, provenance: str) -> Workload:
    inside = int(np.searchsorted(table.arrived_s, window.duration_s))
    if inside == 0:
        raise TraceError(
            f"no request arrives within duration_s = {window.duration_s:g} at rate_scale = {window.rate_scale:g} "
            f"({provenance}); a longer duration_s or a higher rate_scale is needed"
        )
    return Workload(
        arrived_s=table.arrived_s[:inside],
        function=table.function[:inside],
        prompt_tokens=table.prompt_tokens[:inside],
        output_tokens=np.minimum(table.output_tokens[:inside], max_new_tokens),
        max_new_tokens=np.full(inside, max_new_tokens, dtype=np.int32),
        provenance=provenance,
    )
