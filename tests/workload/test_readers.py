"""Bad files give one message with file, line or row, column, what was found and what is allowed."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from simlora.errors import TraceError
from simlora.workload.readers.azure_functions import Cut, read_minute_counts
from simlora.workload.readers.azure_invocations import read_invocations
from simlora.workload.readers.azure_llm import read_azure_llm
from simlora.workload.readers.counts import read_counts
from simlora.workload.readers.mooncake import read_mooncake
from simlora.workload.readers.requests import COLUMNS, read_requests, write_requests
from simlora.workload.readers.servegen import read_clients
from simlora.workload.workload import Workload

FUNCTIONS = ["chat", "code"]
HEAD = "arrived_s,function,prompt_tokens,output_tokens\n"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ["empty", "arrived_s"]),
        (HEAD, ["trace is empty"]),
        ("arived_s,function,prompt_tokens,output_tokens\n0,chat,1,1\n", ['no column "arrived_s"', 'mean "arived_s"']),
        (HEAD + "0,chat,5,5\n1,chat,5,-3\n", ["line 3", '"output_tokens"', '"-3"', "whole numbers from 1"]),
        (HEAD + "0,chat,5,5\nnan,chat,5,3\n", ["line 3", '"arrived_s"', '"nan"', "numbers from 0"]),
        (HEAD + "0,chat,5,5\ninf,chat,5,3\n", ["line 3", '"inf"']),
        (HEAD + "0,chat,five,5\n", ["line 2", '"prompt_tokens"', '"five"']),
        (HEAD + "0,chat,2.5,5\n", ["line 2", '"2.5"', "whole"]),
        (HEAD + "0,chat,,5\n", ["line 2", "found nothing"]),
        (HEAD + "0,chat,5,5\n\n1,caht,5,5\n", ["line 4", '"function"', '"caht"', 'did you mean "chat"']),
        (HEAD + "0,,5,5\n", ["line 2", '"function"', "found nothing"]),
        (HEAD + "0,chat,5,5\n5,chat,5,5\n4,code,5,5\n", ["line 4", "4 s after 5 s", "ascending"]),
        (HEAD + "0,chat,5,5\n1,chat,5\n", ["cannot be read", "Expected 4 columns, got 3"]),
    ],
)
def test_bad_requests(tmp_path: Path, text: str, parts: list[str]) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(text)
    with pytest.raises(TraceError) as refused:
        read_requests(path, FUNCTIONS)
    for part in [str(path), *parts]:
        assert part in str(refused.value)


@pytest.mark.parametrize(
    ("rows", "every", "parts"),
    [
        ("0,chat,-1\n", "minute", ["line 2", '"count"', '"-1"', "whole numbers from 0"]),
        ("0,chat,1\n30,chat,1\n", "minute", ["line 3", '"time"', "30", "multiples of 60"]),
        ("0,chat,1\n60,chat,1\n", "hour", ["line 3", "multiples of 3600"]),
        ("60,chat,1\n0,chat,1\n", "minute", ["line 3", "ascending"]),
        ("0,chad,1\n", "minute", ['did you mean "chat"']),
    ],
)
def test_bad_counts(tmp_path: Path, rows: str, every: str, parts: list[str]) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("time,function,count\n" + rows)
    with pytest.raises(TraceError) as refused:
        read_counts(path, FUNCTIONS, every, 7200)  # type: ignore[arg-type]
    for part in [str(path), *parts]:
        assert part in str(refused.value)


def test_counts_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("time,function,count\n0,code,2\n60,chat,1\n60,code,3\n60,code,1\n240,chat,9\n")
    chat, code = read_counts(path, FUNCTIONS, "minute", 200)
    assert chat.tolist() == [0, 1, 0, 0]
    assert code.tolist() == [2, 4, 0, 0]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_what_is_written_is_read_again(tmp_path: Path, suffix: str) -> None:
    some = np.array([3, 1, 2], dtype=np.int32)
    workload = Workload(np.array([0.125, 1.5, 1.5]), np.array([1, 0, 1], dtype=np.int32), some, some + 1, some + 9, "x")
    write_requests(tmp_path / f"w{suffix}", workload, FUNCTIONS)
    again = read_requests(tmp_path / f"w{suffix}", FUNCTIONS)
    for column in COLUMNS:
        assert getattr(again, column).tolist() == getattr(workload, column).tolist()


def test_truncated_gzip(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    rows = "".join(f"{second},chat,{tokens},5\n" for second, tokens in enumerate(rng.integers(1, 10**6, 20_000)))
    whole = gzip.compress((HEAD + rows).encode())
    path = tmp_path / "mine.csv.gz"
    path.write_bytes(whole)
    assert len(read_requests(path, FUNCTIONS).arrived_s) == 20_000
    for keep in (len(whole) // 2, 4, 12):
        path.write_bytes(whole[:keep])
        with pytest.raises(TraceError, match="truncated or damaged"):
            read_requests(path, FUNCTIONS)


@pytest.mark.parametrize("name", ["mine.csv", "mine.csv.gz", "mine.parquet"])
def test_a_folder_is_not_called_damaged(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(TraceError, match=f"{name}: a folder, not a file"):
        read_requests(tmp_path / name, FUNCTIONS)


def test_bad_parquet(tmp_path: Path) -> None:
    path = tmp_path / "mine.parquet"
    columns = {
        "arrived_s": [0.0, 1.0],
        "function": ["chat", "code"],
        "prompt_tokens": [5, None],
        "output_tokens": [1, 1],
    }
    pq.write_table(pa.table(columns), path)
    with pytest.raises(TraceError, match='row 2, column "prompt_tokens": found nothing'):
        read_requests(path, FUNCTIONS)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(TraceError, match="truncated or damaged"):
        read_requests(path, FUNCTIONS)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="no such file"):
        read_requests(tmp_path / "mine.csv", FUNCTIONS)


def test_minute_counts(tmp_path: Path) -> None:
    path = tmp_path / "days.csv"
    cut = Cut("days.csv", "vid", ("1", "2"), 0)
    path.write_text("vid,total,1,2\na,3,1,2\nb,0,0,0\n")
    assert {name: row.tolist() for name, row in read_minute_counts(path, cut).items()} == {"a": [1, 2], "b": [0, 0]}


@pytest.mark.parametrize(
    ("rows", "message"),
    [("a,1,-2\n", 'line 2, column "2": found "-2"'), ("a,1,2\na,1,2\n", 'line 3, column "vid": found "a"')],
)
def test_bad_minute_counts(tmp_path: Path, rows: str, message: str) -> None:
    path = tmp_path / "days.csv"
    path.write_text("vid,1,2\n" + rows)
    with pytest.raises(TraceError, match=message):
        read_minute_counts(path, Cut("days.csv", "vid", ("1", "2"), 0))


def test_llm_trace(tmp_path: Path) -> None:
    path = tmp_path / "llm.csv"
    path.write_text(
        "TIMESTAMP,ContextTokens,GeneratedTokens\r\n"
        "2023-11-16 18:17:03.9799600,4808,10\r\n2023-11-16 18:17:04.0319600,3180,8\r\n"
    )
    trace = read_azure_llm(path)
    assert trace.arrived_s.tolist() == pytest.approx([0.0, 0.052])
    assert trace.prompt_tokens.tolist() == [4808, 3180]


def test_bad_llm_time(tmp_path: Path) -> None:
    path = tmp_path / "llm.csv"
    path.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.97,8,1\nyesterday,8,1\n")
    with pytest.raises(TraceError, match='line 3, column "TIMESTAMP": found "yesterday"'):
        read_azure_llm(path)


def test_invocations_arrive_before_they_end(tmp_path: Path) -> None:
    path = tmp_path / "i.txt"
    path.write_text("app,func,end_timestamp,duration\na,f,9,2\nb,f,5,1\na,f,8,6.5\nb,f,1,3\n")
    assert [times.tolist() for times in read_invocations(path)] == [[1.5, 7.0], [4.0]]


@pytest.mark.parametrize(
    ("row", "parts"),
    [
        ("a,f,9,-2", ["line 2", '"duration"', '"-2"', "numbers from 0"]),
        ("a,,9,2", ["line 2", '"func"', "found nothing"]),
        ("a,f,soon,2", ["line 2", '"end_timestamp"', '"soon"']),
    ],
)
def test_bad_invocations(tmp_path: Path, row: str, parts: list[str]) -> None:
    path = tmp_path / "i.txt"
    path.write_text(f"app,func,end_timestamp,duration\n{row}\n")
    with pytest.raises(TraceError) as refused:
        read_invocations(path)
    for part in [str(path), *parts]:
        assert part in str(refused.value)


MOONCAKE = '{"timestamp": 3000, "input_length": 7, "output_length": 5, "hash_ids": [0]}\n'


def test_mooncake(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl.gz"
    path.write_bytes(gzip.compress((MOONCAKE + "\n" + MOONCAKE.replace("3000", "6001")).encode()))
    trace = read_mooncake(path)
    assert trace.arrived_s.tolist() == pytest.approx([0.0, 3.001])
    assert (trace.prompt_tokens.tolist(), trace.output_tokens.tolist()) == ([7, 7], [5, 5])


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (MOONCAKE + MOONCAKE.replace("3000", "-1"), ["line 2", '"timestamp"', "found -1", "numbers from 0"]),
        (MOONCAKE + MOONCAKE.replace(": 7", ": 7.5"), ["line 2", '"input_length"', "7.5", "whole"]),
        (MOONCAKE.replace(": 5", ': "5"'), ["line 1", '"output_length"', '"5"']),
        (MOONCAKE.replace(": 5", ": true"), ["line 1", '"output_length"', "true"]),
        (MOONCAKE.replace("input_length", "input_lenght"), ["line 1", 'no field "input_length"', '"input_lenght"']),
        (MOONCAKE + MOONCAKE[:30], ["line 2", "not a JSON object"]),
        ("[1]\n", ["line 1", "found list"]),
        ("\n", ["trace is empty"]),
        (MOONCAKE + MOONCAKE.replace("3000", "2000"), ["line 2", '"timestamp"', "ascending"]),
    ],
)
def test_bad_mooncake(tmp_path: Path, text: str, parts: list[str]) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text(text)
    with pytest.raises(TraceError) as refused:
        read_mooncake(path)
    for part in [str(path), *parts]:
        assert part in str(refused.value)


SERVEGEN = "client,window_start_s,rate_rps,iat_cv,dist,p1,p2\n0,600,1.5,2,Gamma,0.25,4\n"


def test_servegen(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text(SERVEGEN + "0,1200,0.5,2,Weibull,0.5,4\n7,0,1,1,Gamma,1,1\n")
    found = read_clients(path)
    assert {client: sorted(windows) for client, windows in found.items()} == {"0": [1, 2], "7": [0]}
    assert tuple(found["0"][2]) == (0.5, "weibull", 0.5)


@pytest.mark.parametrize(
    ("row", "parts"),
    [
        ("0,700,1,1,Gamma,1,1", ["line 3", '"window_start_s"', '"700"', "multiples of 600"]),
        ("0,600,1,1,Gamma,1,1", ["line 3", "has that window already"]),
        ("0,0,1,1,Gama,1,1", ["line 3", '"dist"', 'did you mean "Gamma"']),
        ("0,0,1,1,Gamma,0,1", ["line 3", '"p1"', '"0"']),
        ("0,0,-1,1,Gamma,1,1", ["line 3", '"rate_rps"', '"-1"']),
    ],
)
def test_bad_servegen(tmp_path: Path, row: str, parts: list[str]) -> None:
    path = tmp_path / "s.csv"
    path.write_text(f"{SERVEGEN}{row}\n")
    with pytest.raises(TraceError) as refused:
        read_clients(path)
    for part in [str(path), *parts]:
        assert part in str(refused.value)
