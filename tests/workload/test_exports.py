"""What load generators replay is the traffic: the same times, tokens and, where the format has them, functions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simlora.workload import Workload
from simlora.workload.exports import FORMATS
from simlora.workload.readers.azure_llm import read_azure_llm
from simlora.workload.readers.mooncake import read_mooncake

Build = Callable[..., Workload]
NAMES = ["chat", "code"]


@pytest.fixture
def made(build: Build) -> Workload:
    return build({"name": "poisson", "rate_per_s": 0.1}, duration_s=3600.0)


def lines(path: Path, made: Workload, to: str) -> list[dict[str, Any]]:
    FORMATS[to].write(path, made, NAMES)
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize(("to", "block"), [("timed-trace", 16), ("mooncake", 512)])
def test_blocks_cover_the_prompt_and_nothing_is_shared(tmp_path: Path, made: Workload, to: str, block: int) -> None:
    rows = lines(tmp_path / "t.jsonl", made, to)
    ids = [one for row in rows for one in row["hash_ids"]]
    assert len(ids) == len(set(ids))
    for row in rows:
        assert (len(row["hash_ids"]) - 1) * block < row["input_length"] <= len(row["hash_ids"]) * block


def test_a_timed_trace_is_in_seconds(tmp_path: Path, made: Workload) -> None:
    rows = lines(tmp_path / "t.jsonl", made, "timed-trace")
    assert [row["timestamp"] for row in rows] == made.arrived_s.tolist()
    assert [row["input_length"] for row in rows] == made.prompt_tokens.tolist()
    assert [row["output_length"] for row in rows] == made.output_tokens.tolist()


def test_mooncake_is_read_back(tmp_path: Path, made: Workload) -> None:
    lines(tmp_path / "t.jsonl", made, "mooncake")
    again = read_mooncake(tmp_path / "t.jsonl")
    assert again.arrived_s.tolist() == pytest.approx((made.arrived_s - made.arrived_s[0]).tolist(), abs=0.0011)
    assert again.prompt_tokens.tolist() == made.prompt_tokens.tolist()


def test_aiperf_has_the_function_as_model(tmp_path: Path, made: Workload) -> None:
    rows = lines(tmp_path / "t.jsonl", made, "aiperf")
    assert [row["extra"]["model"] for row in rows] == [NAMES[row] for row in made.function]
    assert all(set(row) == {"timestamp", "input_length", "output_length", "extra"} for row in rows)
    assert all(isinstance(row["timestamp"], int) for row in rows)


def test_azure_llm_is_read_back(tmp_path: Path, made: Workload) -> None:
    FORMATS["azure-llm"].write(tmp_path / "t.csv", made, NAMES)
    again = read_azure_llm(tmp_path / "t.csv")
    assert again.arrived_s.tolist() == pytest.approx((made.arrived_s - made.arrived_s[0]).tolist(), abs=2e-7)
    assert again.output_tokens.tolist() == made.output_tokens.tolist()
