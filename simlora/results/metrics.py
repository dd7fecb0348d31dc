"""Every metric of a run, defined here and nowhere else.

Times are seconds from the start of the trace; a time that never happened is NaN. Per request, with n output tokens:

===========  ======================================================================================================
TTFT         first token - arrival
TPOT         (finish - first token) / (n - 1); undefined for one token
TPOT, paper  (E2E - TTFT) / n, as ServerlessLoRA defines it
ITL          gap between two consecutive tokens. Tokens stream steadily from the first to the finish, so all n - 1
             gaps of a request equal its TPOT, and a request weighs as much as it has gaps
E2E          finish - arrival
met its SLO  finished, TTFT within the function's ``slo_ttft_s`` and, where it states one and n > 1, TPOT within its
             ``slo_tpot_s``
===========  ======================================================================================================

Means and percentiles are over finished requests (percentiles interpolate linearly; that of ITL is the least gap that
the stated share of all gaps does not exceed) and NaN where there are none. Rates and shares:

=====================  ============================================================================================
slo_attainment         requests that met their SLO / requests offered; rejected, failed, timed out and unfinished
                       ones have not met it
offered_req_per_s      requests / duration of the trace
goodput_req_per_s      requests that met their SLO / duration of the trace
throughput_tok_per_s   output tokens of finished requests / time until the later of the trace's end and the last finish
cold_starts            requests that waited for at least one start-up stage
batch_mean             mean over started requests of the batch they started in
gpus_mean, gpus_max    GPUs with an instance or backbone process on them, or reserved, over the window
gpu_busy_fraction      GPU time with at least one busy instance / (the cluster's GPUs x window)
gpu_mem_mean_bytes     device bytes held by instances and backbone processes on all GPUs, mean over the window
cost_effectiveness     1 / (mean E2E x the run's total cost), per second and USD
usd_per_1k_requests    cost / finished requests x 1,000
usd_per_m_output_tokens  cost / output tokens of finished requests x 1,000,000
out_of_range_fraction  share of latency estimates asked for beyond the profile's measured range
=====================  ============================================================================================
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from simlora.entities import Function
from simlora.errors import unknown_name
from simlora.results.occupancy import Occupancy
from simlora.results.tables import Bools, Floats, numbers, words

OUTCOMES = ("finished", "rejected", "failed", "timed_out", "unfinished")

Row = dict[str, float]


def request_metrics(requests: pa.Table, functions: Sequence[Function], duration_s: float, end_s: float) -> Row:
    """Latency, SLO and rate metrics of all ``requests`` offered in ``duration_s``, the last finished at ``end_s``."""
    outcome = words(requests, "outcome")
    finished = outcome.are("finished")
    tokens, batch = numbers(requests, "output_tokens"), numbers(requests, "batch")
    started = ~np.isnan(numbers(requests, "started_s"))
    ttft_s, tpot_s, e2e_s = ttft(requests)[finished], tpot(requests)[finished], e2e(requests)[finished]
    gaps = tokens[finished] - 1
    met = int(met_slo(requests, functions).sum())
    return {
        "requests": len(finished),
        **{name: int(outcome.are(name).sum()) for name in OUTCOMES},
        "ttft_mean_s": mean(ttft_s),
        **{f"ttft_p{q}_s": percentile(ttft_s, q) for q in (50, 90, 99)},
        "tpot_mean_s": mean(tpot_s[gaps > 0]),
        "tpot_paper_mean_s": mean((e2e_s - ttft_s) / tokens[finished]),
        "itl_mean_s": ratio(float(np.sum((tpot_s * gaps)[gaps > 0])), float(gaps.sum())),
        "itl_p99_s": weighted_percentile(tpot_s[gaps > 0], gaps[gaps > 0], 99),
        "e2e_mean_s": mean(e2e_s),
        "e2e_p99_s": percentile(e2e_s, 99),
        "slo_attainment": ratio(met, len(finished)),
        "goodput_req_per_s": ratio(met, duration_s),
        "throughput_tok_per_s": ratio(float(tokens[finished].sum()), max(duration_s, end_s)),
        "cold_starts": int(numbers(requests, "cold").sum()),
        "batch_mean": mean(batch[started]),
        "offered_req_per_s": ratio(len(finished), duration_s),
    }


def gpu_metrics(use: Occupancy, gpus: int, window_s: float) -> Row:
    """What a run occupied over [0, window_s] of a cluster with ``gpus`` GPUs."""
    seconds = use.seconds
    return {
        "gpus_mean": ratio(float(seconds.sum()), window_s),
        "gpus_max": _most_at_once(use),
        "gpu_busy_fraction": ratio(float(seconds[use.busy > 0].sum()), gpus * window_s),
        "gpu_mem_mean_bytes": ratio(float(np.sum(seconds * (use.instance_bytes + use.backbone_bytes))), window_s),
    }


def cost_metrics(cost_usd: float, e2e_mean_s: float, finished: float, output_tokens: float) -> Row:
    """Cost, and cost in relation to what it bought; ``output_tokens`` are those of finished requests."""
    return {
        "cost_usd": cost_usd,
        "cost_effectiveness": ratio(1.0, e2e_mean_s * cost_usd),
        "usd_per_1k_requests": 1e3 * ratio(cost_usd, finished),
        "usd_per_m_output_tokens": 1e6 * ratio(cost_usd, output_tokens),
    }


def out_of_range_fraction(calls: Mapping[str, Any]) -> float:
    """Share of latency estimates beyond the measured range; ``calls`` is a run's fact ``out_of_range``."""
    return calls["out"] / calls["calls"] if calls["calls"] else 0.0


def ttft(requests: pa.Table) -> Floats:
    """Seconds from arrival to first token, NaN for requests that got none."""
    return np.asarray(numbers(requests, "first_token_s") - numbers(requests, "arrived_s"))


def e2e(requests: pa.Table) -> Floats:
    """Seconds from arrival to finish, NaN for requests that did not finish."""
    return np.asarray(numbers(requests, "finished_s") - numbers(requests, "arrived_s"))


def tpot(requests: pa.Table) -> Floats:
    """Seconds per output token after the first, NaN for one-token outputs and requests that did not finish."""
    tokens = numbers(requests, "output_tokens").astype(float)
    gaps = np.where(tokens > 1, tokens - 1, np.nan)
    return np.asarray((numbers(requests, "finished_s") - numbers(requests, "first_token_s")) / gaps)


def met_slo(requests: pa.Table, functions: Sequence[Function]) -> Bools:
    """Which of the requests offered met their function's SLO.

    Raises :class:`ConfigError` for a request of a function that is not among ``functions``.
    """
    function = words(requests, "function")
    known = {known.id: known for known in functions}
    for name in function.words:
        if name not in known:
            raise unknown_name("function", name, known)
    slo_ttft_s = function.table({name: one.slo_ttft_s for name, one in known.items()})
    slo_tpot_s = function.table(
        {name: math.inf if one.slo_tpot_s is None else one.slo_tpot_s for name, one in known.items()}
    )
    slow = tpot(requests) > slo_tpot_s  # False where TPOT is undefined
    finished = words(requests, "outcome").are("finished")
    return np.asarray(finished & (ttft(requests) <= slo_ttft_s) & ~slow)


def mean(values: Floats) -> float:
    """The mean, NaN of nothing."""
    return float(values.mean()) if len(values) else math.nan


def percentile(values: Floats, q: float) -> float:
    """The ``q``-th percentile by linear interpolation, NaN of nothing."""
    return float(np.percentile(values, q)) if len(values) else math.nan


def weighted_percentile(values: Floats, weights: Floats, q: float) -> float:
    """The least value that at least ``q`` per cent of the weight does not exceed, NaN of nothing."""
    if not len(values):
        return math.nan
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(below, below[-1] * (q / 100), side="left")])


def ratio(part: float, whole: float) -> float:
    """``part / whole``, NaN where ``whole`` is 0."""
    return part / whole if whole else math.nan


def _most_at_once(use: Occupancy) -> int:
    if not len(use.gpu):
        return 0
    at_s = np.concatenate([use.from_s, use.to_s])
    change = np.repeat([1, -1], len(use.gpu))
    # At one instant what ends comes before what begins, or a stretch would count twice where it touches the next.
    return int(change[np.lexsort((change, at_s))].cumsum().max())
