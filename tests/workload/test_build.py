"""A workload is ordered, inside its window, made from named streams, and said to be what it is."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simlora.errors import ConfigError, TraceError
from simlora.workload import Workload, describe, list_traces, write_requests
from simlora.workload.segments import function_of

Build = Callable[..., Workload]
COLUMNS = ("arrived_s", "function", "prompt_tokens", "output_tokens", "max_new_tokens")
TEN = [f"f{row}" for row in range(10)]
MADE: list[Any] = [
    "model/azure-2019-predictable",
    "model/azure-2019-normal",
    {"name": "model/azure-2019-bursty", "spreader": "poisson"},
    {"name": "poisson", "rate_per_s": 0.02},
    {"name": "gamma", "rate_per_s": 0.02, "cv": 3.0},
    {"name": "on-off", "on_rate_per_s": 0.2, "on_mean_s": 100, "off_mean_s": 500},
    {"name": "zipf", "rate_per_s": 0.5, "exponent": 1.0, "over": 20, "cv": 2.0},
    {"name": "model/gentd26", "rate_per_s": 0.5, "over": 10},
    {"name": "diurnal", "rate_per_s": 0.5, "over": 10, "period_s": 7200, "peak_spread_s": 3600},
]
made = pytest.mark.parametrize("trace", MADE, ids=str)


def same(one: Workload, other: Workload) -> bool:
    return all(getattr(one, name).tobytes() == getattr(other, name).tobytes() for name in COLUMNS)


@made
def test_columns(build: Build, trace: Any) -> None:
    found = build(trace, functions=TEN, rate_scale=1.7)
    assert len({len(getattr(found, name)) for name in COLUMNS}) == 1
    assert (np.diff(found.arrived_s) >= 0).all()
    assert found.arrived_s[0] >= 0
    assert found.arrived_s[-1] < 14_400
    assert set(found.function) <= set(range(10))
    assert found.prompt_tokens.min() >= 1
    assert found.output_tokens.min() >= 1
    assert (found.max_new_tokens >= found.output_tokens).all()
    assert [getattr(found, name).dtype.name for name in COLUMNS] == ["float64", *["int32"] * 4]
    assert found.provenance.startswith(("model: ", "synthetic: "))
    assert "\n" not in found.provenance


@made
def test_same_seed_same_bytes(build: Build, trace: Any) -> None:
    assert same(build(trace), build(trace))
    assert not same(build(trace), build(trace, seed=2))


@made
def test_a_further_function_shifts_no_other(build: Build, trace: Any) -> None:
    few, more = build(trace, functions=TEN[:4], rate_scale=0.8), build(trace, functions=TEN, rate_scale=0.8)
    kept = more.function < 4
    for name in COLUMNS:
        assert getattr(more, name)[kept].tolist() == getattr(few, name).tolist()


@made
def test_functions_differ(build: Build, trace: Any) -> None:
    found = build(trace, functions=TEN)
    times = {found.arrived_s[found.function == row][:5].tobytes() for row in range(10)}
    assert len(times) == 10
    assert len({found.prompt_tokens[found.function == row][:5].tobytes() for row in range(10)}) == 10


@made
def test_rate_scale(build: Build, trace: Any) -> None:
    once, thrice = build(trace, functions=TEN), build(trace, functions=TEN, rate_scale=3.0)
    assert len(thrice) == pytest.approx(3 * len(once), rel=0.2)


def test_speed(build: Build) -> None:
    for trace, functions, most_s in (
        ({"name": "poisson", "rate_per_s": 1.0}, TEN[:8], 0.5),
        ({"name": "gamma", "rate_per_s": 1.0, "cv": 4}, TEN[:8], 0.5),
        ("model/azure-2019-normal", TEN[:8], 0.05),
    ):
        build(trace, functions=functions)
        took_s = []
        for _ in range(3):
            began_s = time.perf_counter()
            build(trace, functions=functions)
            took_s.append(time.perf_counter() - began_s)
        assert min(took_s) < most_s, trace


def test_building_imports_neither_pandas_nor_scipy(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from simlora.workload import build_workload\n"
        "build_workload(trace='model/azure-2019-normal', lengths='gsm8k', functions=['a'], duration_s=14400.0,\n"
        "               rate_scale=1.0, seed=1, base_dir=Path('.'), data_dir=None)\n"
        "print(sorted({'pandas', 'scipy', 'simpy', 'torch', 'matplotlib'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_outputs_are_cut_where_generation_stops(build: Build) -> None:
    lengths = {"name": "gsm8k", "max_new_tokens": 60}
    found = build({"name": "poisson", "rate_per_s": 0.1}, lengths=lengths)
    assert found.output_tokens.max() == 60
    assert set(found.max_new_tokens) == {60}


def test_named_segments(build: Build) -> None:
    found = build({"name": "model/azure-2019-bursty", "segments": ["v000090@240", "v000275@480"]})
    assert "replicas of v000090@240 v000275@480" in found.provenance


def test_own_requests_keep_their_tokens(build: Build, tmp_path: Path) -> None:
    (tmp_path / "w.csv").write_text(
        "arrived_s,function,prompt_tokens,output_tokens\n0,code,5,3000\n10,chat,6,2\n10,code,7,1\n40,chat,8,4\n"
    )
    found = build("w.csv", duration_s=30.0)
    assert found.arrived_s.tolist() == [0, 10, 10]
    assert found.function.tolist() == [1, 0, 1]
    assert found.prompt_tokens.tolist() == [5, 6, 7]
    assert found.output_tokens.tolist() == [3000, 2, 1]
    assert set(found.max_new_tokens) == {3000}
    assert found.provenance == "file: w.csv, requests; lengths: the trace's own"
    assert build("w.csv", duration_s=30.0, rate_scale=2.0).arrived_s.tolist() == [0, 5, 5, 20]
    cut = build("w.csv", lengths={"name": "gsm8k", "max_new_tokens": 2})
    assert cut.output_tokens.tolist() == [2, 2, 1, 2]


def test_own_counts(build: Build, tmp_path: Path) -> None:
    (tmp_path / "w.csv").write_text("time,function,count\n0,chat,2\n3600,code,3\n")
    hours = build({"name": "w.csv", "every": "hour", "spreader": "even"})
    assert hours.arrived_s.tolist() == [0, 1800, 3600, 4800, 6000]
    assert hours.function.tolist() == [0, 0, 1, 1, 1]
    assert build("w.csv", rate_scale=2.0).function.tolist().count(1) == 6


def test_a_workload_becomes_a_file(build: Build, tmp_path: Path) -> None:
    made_here = build("model/azure-2019-normal")
    write_requests(tmp_path / "w.parquet", made_here, ["chat", "code"])
    read = build("w.parquet")
    assert all(getattr(read, name).tolist() == getattr(made_here, name).tolist() for name in COLUMNS[:4])


def test_description_by_hand(build: Build, tmp_path: Path) -> None:
    (tmp_path / "w.csv").write_text(
        "arrived_s,function,prompt_tokens,output_tokens\n0,code,5,3\n60,code,6,2\n179.9,code,7,1\n"
    )
    chat, code = describe(build("w.csv", duration_s=240.0), ["chat", "code"], 240.0)
    assert (chat.requests, chat.share, chat.empty_minutes) == (0, 0.0, 1.0)
    assert (code.requests, code.share, code.empty_minutes, code.longest_gap_s) == (3, 1.0, 0.25, 119.9)
    assert code.rate_per_s == pytest.approx(3 / 240)
    assert (code.cov, code.pattern, code.prompt_tokens_mean) == (0.0, "predictable", 6.0)


@pytest.mark.parametrize(
    ("trace", "changed", "kind", "message"),
    [
        ("azure-functions-2019/burst", {}, ConfigError, 'did you mean "azure-functions-2019/bursty"'),
        ("azure-functions-2019/bursty", {}, TraceError, 'SIMLORA_DATA.*"model/azure-2019-bursty"'),
        ("azure-llm-2023/code", {}, TraceError, "SIMLORA_DATA"),
        ("azure-functions-2019/bursty", {"duration_s": 20_000}, TraceError, "found duration_s = 20000"),
        ({"name": "gamma", "rate_per_s": 1, "cvv": 2}, {}, ConfigError, 'no key "cvv"; did you mean "cv"'),
        ({"name": "gamma", "rate_per_s": 1}, {}, ConfigError, 'key "cv" is missing'),
        ({"name": "poisson", "rate_per_s": float("nan")}, {}, ConfigError, "found nan"),
        ({"name": "model/azure-2019-normal", "spreader": "evn"}, {}, ConfigError, "'evn'.*'even'"),
        ({"name": "model/azure-2019-bursty", "segments": ["v000090@241", "x"]}, {}, TraceError, '"v000090@240"'),
        ({"name": "model/azure-2019-bursty", "segments": ["v000090@240"]}, {}, TraceError, r"one per function \(2\)"),
        ({"name": "poisson", "rate_per_s": 1e-9}, {}, TraceError, "no request arrives"),
        ("model/azure-2019-normal", {"rate_scale": 0.0}, ConfigError, '"rate_scale": found 0'),
        ("model/azure-2019-normal", {"duration_s": float("inf")}, ConfigError, '"duration_s": found inf'),
        ("model/azure-2019-normal", {"functions": []}, ConfigError, "table is empty"),
        ("model/azure-2019-normal", {"seed": -1}, ConfigError, '"seed": found -1'),
        ("missing.csv", {}, TraceError, "missing.csv: no such file"),
    ],
)
def test_bad_input(build: Build, trace: Any, changed: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        build(trace, **changed)


def test_list_traces(build: Build, tmp_path: Path) -> None:
    rows = list_traces()
    assert {row.kind for row in rows} == {"real", "model", "synthetic"}
    data = [row.name for row in rows if row.kind == "real" or row.name.startswith("servegen/")]
    assert [row.name for row in rows if not row.available] == data


def test_real_segments(build: Build, data_dir: Path) -> None:
    for cut in ("day", "8h"):
        trace = {"name": "azure-functions-2019/bursty", "cut": cut}
        found = build(trace, functions=TEN, data_dir=data_dir)
        names = found.provenance.split("segments ")[1].split(",")[0].split()
        assert len({function_of(name) for name in names}) == 10
        few = build(trace, functions=TEN[:4], data_dir=data_dir)
        kept = found.function < 4
        assert few.arrived_s.tolist() == found.arrived_s[kept].tolist()
        assert not same(few, build(trace, functions=TEN[:4], data_dir=data_dir, seed=2))
    with pytest.raises(TraceError, match="allowed: up to 21"):
        build(trace, functions=[str(row) for row in range(22)], data_dir=data_dir)
    absent = [row.name for row in list_traces(data_dir) if not row.available]
    assert absent == ["azure-functions-2021"]


def test_a_real_segment_is_replayed_as_it_is(build: Build, data_dir: Path) -> None:
    trace = {"name": "azure-functions-2019/predictable", "segments": ["v008640@720"], "spreader": "even"}
    found = build(trace, functions=["chat"], data_dir=data_dir)
    assert found.arrived_s.tolist() == [10.0 * place for place in range(6 * 240)]


def test_llm_requests_are_shared_out(build: Build, data_dir: Path) -> None:
    few = build("azure-llm-2023/conv", functions=TEN[:4], data_dir=data_dir)
    more = build("azure-llm-2023/conv", functions=TEN[:5], data_dir=data_dir)
    assert len(few) == len(more) == 19_366
    assert np.bincount(few.function) / len(few) == pytest.approx(np.full(4, 0.25), abs=0.02)
    moved = few.function != more.function
    assert set(more.function[moved]) == {4}
    skewed = build({"name": "azure-llm-2023/conv", "zipf": 1.0}, functions=TEN[:2], data_dir=data_dir)
    assert (skewed.function == 0).mean() == pytest.approx(2 / 3, abs=0.02)
