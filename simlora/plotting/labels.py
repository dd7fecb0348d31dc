"""What an axis says: the words and the unit of a column, read from its name."""

from __future__ import annotations

from simlora.units import GB

TITLES = {
    "ttft": "TTFT",
    "tpot": "TPOT",
    "tpot_paper": "TPOT, as the paper defines it",
    "itl": "ITL",
    "e2e": "E2E latency",
}
LINE_CHARACTERS = 26
"""Of an axis label, up to which it fits beside a low panel."""
STATISTICS = {"mean": "mean", "p50": "median", "p90": "90th percentile", "p99": "99th percentile"}
LABELS = {
    "slo_attainment": "SLO attainment (%)",
    "goodput_req_per_s": "Goodput (requests/s)",
    "throughput_tok_per_s": "Throughput (tokens/s)",
    "offered_req_per_s": "Offered load (requests/s)",
    "cost_usd": "Cost (USD)",
    "cost_effectiveness": "Cost-effectiveness (1/(s USD))",
    "usd_per_1k_requests": "USD per 1,000 requests",
    "usd_per_m_output_tokens": "USD per million output tokens",
    "cold_starts": "Cold starts (requests)",
    "failed": "Failed (requests)",
    "finished": "Finished (requests)",
    "gpus_mean": "GPUs held, mean",
    "gpus_max": "GPUs held, most at once",
    "gpu_busy_fraction": "GPU time busy (%)",
    "gpu_mem_mean_bytes": "GPU memory held, mean (GB)",
    "batch_mean": "Batch at start, mean (requests)",
    "out_of_range_fraction": "Estimates out of range (%)",
    "cluster.nodes": "Nodes",
    "cluster.gpus_per_node": "GPUs per node",
}
UNITS = {
    "_req_per_s": "requests/s",
    "_per_s": "1/s",
    "_s": "s",
    "_bytes": "GB",
    "_usd": "USD",
    "_tokens": "tokens",
    "_fraction": "%",
}


def label(column: str) -> str:
    """The axis label of a column of results, with its unit."""
    if column in LABELS:
        return LABELS[column]
    name, _, statistic = column.removesuffix("_s").rpartition("_")
    if name in TITLES and statistic in STATISTICS:
        return f"{TITLES[name]}, {STATISTICS[statistic]} (s)"
    for suffix, unit in UNITS.items():
        if column.endswith(suffix):
            return f"{_words(column.removesuffix(suffix))} ({unit})"
    return _words(column)


def in_lines(text: str) -> str:
    """An axis label, with its unit on a second line if it is long."""
    return text.replace(" (", "\n(", 1) if len(text) > LINE_CHARACTERS else text


def is_share(column: str) -> bool:
    """Whether a column of results lies between 0 and 1; axes show it in per cent."""
    return label(column).endswith("(%)")


def scale(column: str) -> float:
    """What the values of a column are divided by to be in the unit of its label."""
    if column.endswith("_bytes"):
        return float(GB)
    return 0.01 if is_share(column) else 1.0


def _words(column: str) -> str:
    text = column.rpartition(".")[2].replace("_", " ")
    return text[:1].upper() + text[1:]
