"""One run as one row of ``summary.csv``, and where its requests' time went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from simlora.entities import Function
from simlora.results import metrics
from simlora.results.billing import Bill, bill
from simlora.results.occupancy import occupancy, on_reserved
from simlora.results.prices import Price
from simlora.results.tables import numbers, words

KEYS = ("system", "scenario", "point", "seed")
"""What names a row of ``summary.csv``; the columns that follow are those of :func:`summarise`."""

COLUMNS = (
    "requests", "finished", "rejected", "failed", "timed_out", "unfinished",
    "ttft_mean_s", "ttft_p50_s", "ttft_p90_s", "ttft_p99_s",
    "tpot_mean_s", "tpot_paper_mean_s", "itl_mean_s", "itl_p99_s", "e2e_mean_s", "e2e_p99_s",
    "slo_attainment", "goodput_req_per_s", "throughput_tok_per_s",
    "cost_usd", "cost_effectiveness", "usd_per_1k_requests", "usd_per_m_output_tokens",
    "cold_starts", "gpus_mean", "gpus_max", "gpu_busy_fraction", "gpu_mem_mean_bytes",
    "batch_mean", "offered_req_per_s", "out_of_range_fraction",
)  # fmt: skip


def summarise(
    requests: pa.Table,
    usage: pa.Table,
    facts: Mapping[str, Any],
    functions: Sequence[Function],
    window_s: float,
    prices: Sequence[Price],
) -> dict[str, float]:
    """All metrics of one run (:mod:`simlora.results.metrics`), in the order of ``summary.csv``.

    ``window_s``: the stretch over which the systems of one comparison are billed, from the start of the trace to
    the latest end among them.

    Raises :class:`ConfigError` if ``prices``, one list of each kind needed, can't bill this system or lack its GPU.
    """
    of_requests = metrics.request_metrics(requests, functions, facts["duration_s"], facts["end_s"])
    of_gpus = metrics.gpu_metrics(occupancy(usage, window_s), facts["gpus"], window_s)
    cost_usd = bill_of(requests, usage, facts, window_s, prices).total_usd
    finished = words(requests, "outcome").are("finished")
    tokens = int(numbers(requests, "output_tokens")[finished].sum())
    of_cost = metrics.cost_metrics(cost_usd, of_requests["e2e_mean_s"], of_requests["finished"], tokens)
    beyond = metrics.out_of_range_fraction(facts["out_of_range"])
    row = {**of_requests, **of_gpus, **of_cost, "out_of_range_fraction": beyond}
    return {name: row[name] for name in COLUMNS}


def summarise_functions(
    requests: pa.Table, facts: Mapping[str, Any], functions: Sequence[Function]
) -> dict[str, dict[str, float]]:
    """The metrics of each function's own requests; what GPUs they shared, and so cost, has no answer per function."""
    name = words(requests, "function")
    return {
        one.id: metrics.request_metrics(
            requests.filter(pa.array(name.are(one.id))), functions, facts["duration_s"], facts["end_s"]
        )
        for one in functions
    }


def bill_of(
    requests: pa.Table, usage: pa.Table, facts: Mapping[str, Any], window_s: float, prices: Sequence[Price]
) -> Bill:
    """The bill of one run by lists that go together; each request that was bound to an instance costs one invocation.

    Where some GPUs are reserved and others are not, each list counts the requests on its own.
    """
    invoked, total = numbers(requests, "instance") >= 0, Bill()
    for price in prices:
        mine = invoked
        if len(prices) > 1:
            mine = invoked & (on_reserved(requests, usage) == (price.kind == "reserved"))
        total += bill(usage, price, facts["gpu_models"], int(mine.sum()), window_s, facts["billing"])
    return total
