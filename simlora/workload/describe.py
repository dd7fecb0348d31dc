"""What a workload looks like, function by function."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from simlora.workload.variability import variability
from simlora.workload.workload import Workload


class FunctionTraffic(NamedTuple):
    """One function's requests. CoV and class by the authors' estimator, on requests per minute."""

    function: str
    requests: int
    rate_per_s: float
    share: float
    """Of all requests."""
    cov: float
    pattern: str
    empty_minutes: float
    """Share of the window's minutes without a request."""
    longest_gap_s: float
    """Between two requests; NaN for fewer than two."""
    prompt_tokens_mean: float
    output_tokens_mean: float


def describe(workload: Workload, functions: Sequence[str], duration_s: float) -> list[FunctionTraffic]:
    """One row per function, also for one without requests."""
    minutes = math.ceil(duration_s / 60)
    rows = []
    for row, name in enumerate(functions):
        mine = workload.function == row
        arrived_s = workload.arrived_s[mine]
        counts = np.bincount((arrived_s // 60).astype(np.int64), minlength=minutes)
        measured = variability(counts)
        some = len(arrived_s) > 0
        rows.append(
            FunctionTraffic(
                function=name,
                requests=len(arrived_s),
                rate_per_s=len(arrived_s) / duration_s,
                share=len(arrived_s) / len(workload),
                cov=measured.cov,
                pattern=measured.pattern,
                empty_minutes=float((counts == 0).mean()),
                longest_gap_s=float(np.diff(arrived_s).max()) if len(arrived_s) > 1 else math.nan,
                prompt_tokens_mean=float(workload.prompt_tokens[mine].mean()) if some else math.nan,
                output_tokens_mean=float(workload.output_tokens[mine].mean()) if some else math.nan,
            )
        )
    return rows
