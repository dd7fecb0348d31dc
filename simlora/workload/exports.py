"""Files that load generators replay, each request at its own time.

None of them carries text: prompts are made up to length by the load generator. Where a format describes prefixes by
the hashes of blocks of tokens, every block here has a hash of its own, so that no prefix is shared that the traffic
doesn't say is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from simlora.workload.readers.requests import write_requests
from simlora.workload.workload import Workload

TIMED_TRACE_BLOCK = 16
"""Tokens of a hash, vLLM's default (``--timed-trace-chunk-hash-size``)."""
MOONCAKE_BLOCK = 512
"""Tokens of a hash (Mooncake, ``FAST25-release``)."""


class Format(NamedTuple):
    """``suffixes`` of its files, who reads it, and how it is written."""

    suffixes: tuple[str, ...]
    description: str
    write: Callable[[Path, Workload, Sequence[str]], None]


def write_timed_trace(path: Path, workload: Workload, functions: Sequence[str]) -> None:
    """One JSON object per line: ``timestamp`` (s), ``input_length``, ``output_length``, ``hash_ids`` of 16 tokens.

    Source: vLLM, ``vllm bench serve --dataset-name timed_trace --self-timed`` (names, block and seconds are its
    defaults); GuideLLM, ``docs/guides/trace_replay.md``, kind ``trace_synthetic``.
    """
    _write_lines(path, _rows(workload, 1.0, TIMED_TRACE_BLOCK))


def write_mooncake(path: Path, workload: Workload, functions: Sequence[str]) -> None:
    """One JSON object per line: ``timestamp`` (ms), ``input_length``, ``output_length``, ``hash_ids`` of 512 tokens.

    Source: kvcache-ai/Mooncake, ``FAST25-release/traces``; replayed by inference-perf (``Mooncake``) and AIPerf.
    """
    _write_lines(path, _rows(workload, 1e3, MOONCAKE_BLOCK))


def write_aiperf(path: Path, workload: Workload, functions: Sequence[str]) -> None:
    """As Mooncake's without ``hash_ids``; ``extra`` makes the function the request's model, as LoRA servers expect it.

    Source: ai-dynamo/aiperf, ``docs/benchmark-modes/trace-replay.md``, ``--custom-dataset-type mooncake_trace``.
    """
    owners = workload.function.tolist()
    rows = zip(owners, _rows(workload, 1e3, None), strict=True)
    _write_lines(path, ({**row, "extra": {"model": functions[owner]}} for owner, row in rows))


def write_azure_llm(path: Path, workload: Workload, functions: Sequence[str]) -> None:
    """``TIMESTAMP,ContextTokens,GeneratedTokens``, times counted from 1970-01-01 at a resolution of 100 ns.

    Source: Azure/AzurePublicDataset, ``AzureLLMInferenceDataset2023.md``; replayed by inference-perf
    (``AzurePublicDataset``).
    """
    stamps = np.datetime64(0, "ns") + np.rint(workload.arrived_s * 1e9).astype("timedelta64[ns]")
    columns = (np.datetime_as_string(stamps).tolist(), workload.prompt_tokens.tolist(), workload.output_tokens.tolist())
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write("TIMESTAMP,ContextTokens,GeneratedTokens\n")
        for stamp, prompt, output in zip(*columns, strict=True):
            file.write(f"{stamp[:-2].replace('T', ' ')},{prompt},{output}\n")


def _rows(workload: Workload, per_s: float, block: int | None) -> Iterator[dict[str, Any]]:
    """Lines with times in units of 1 / ``per_s`` s, whole ones unless seconds."""
    used = 0
    columns = (workload.arrived_s.tolist(), workload.prompt_tokens.tolist(), workload.output_tokens.tolist())
    for arrived_s, prompt, output in zip(*columns, strict=True):
        timestamp = arrived_s if per_s == 1.0 else round(arrived_s * per_s)
        row = {"timestamp": timestamp, "input_length": prompt, "output_length": output}
        if block is not None:
            blocks = -(-prompt // block)
            row["hash_ids"] = list(range(used, used + blocks))
            used += blocks
        yield row


def _write_lines(path: Path, rows: Iterator[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        for row in rows:
            file.write(f"{json.dumps(row)}\n")


FORMATS = {
    "requests": Format((".csv", ".parquet"), "simlora", write_requests),
    "timed-trace": Format(
        (".jsonl",),
        "vllm bench serve --dataset-name timed_trace --self-timed; GuideLLM trace_synthetic",
        write_timed_trace,
    ),
    "mooncake": Format((".jsonl",), "inference-perf Mooncake", write_mooncake),
    "aiperf": Format((".jsonl",), "AIPerf mooncake_trace, the function as model of each request", write_aiperf),
    "azure-llm": Format((".csv",), "inference-perf AzurePublicDataset", write_azure_llm),
}
NAMES_FUNCTIONS = ("requests", "aiperf")
