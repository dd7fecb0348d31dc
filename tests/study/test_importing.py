"""What a real engine measured, as a results folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from simlora.errors import ConfigError, SimloraError
from simlora.results.load import load
from simlora.study.importing import Measured, import_vllm_bench
from simlora.study.looking import rows_of

MEASURED = Measured("vllm measured", "steady", 0, "l40s", 1, "ec2-on-demand-2026")
RESULT: dict[str, Any] = {
    "backend": "vllm",
    "input_lens": [10, 20, 30],
    "output_lens": [3, 1, 2],
    "ttfts": [0.5, 0.25, 3.0],
    "itls": [[0.1, 0.1], [], [0.5]],
    "errors": ["", "", ""],
    "start_times": [100.0, 102.0, 104.5],
}


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    trace, functions = tmp_path / "requests.csv", tmp_path / "functions.csv"
    trace.write_text("arrived_s,function,prompt_tokens,output_tokens\n0,a,10,3\n2,b,20,1\n4,a,30,2\n")
    head = "function,backbone,rank,target_modules,slo_ttft_s\n"
    functions.write_text(head + "a,llama-2-7b,16,q_proj v_proj,2.5\nb,llama-2-7b,16,q_proj v_proj,2.5\n")
    return trace, functions


def imported(files: tuple[Path, Path], result: Any, measured: Measured = MEASURED) -> Path:
    folder = files[0].parent
    (folder / "result.json").write_text(result if isinstance(result, str) else json.dumps(result))
    import_vllm_bench(folder / "result.json", *files, folder / "out", measured)
    return folder / "out"


def test_times_are_those_that_were_measured(files: tuple[Path, Path]) -> None:
    requests = load(imported(files, RESULT)).requests()
    assert requests["arrived_s"].tolist() == [0.0, 2.0, 4.5]
    assert requests["function"].tolist() == ["a", "b", "a"]
    assert requests["first_token_s"].tolist() == pytest.approx([0.5, 2.25, 7.5])
    assert requests["finished_s"].tolist() == pytest.approx([0.7, 2.25, 8.0])


def test_it_stands_beside_simulated_runs(files: tuple[Path, Path]) -> None:
    (row,) = rows_of([imported(files, RESULT)])
    assert (row["system"], row["scenario"], row["requests"]) == ("vllm measured", "steady", 3)
    assert row["ttft_mean_s"] == pytest.approx(1.25)
    assert row["slo_attainment"] == pytest.approx(2 / 3)
    assert row["cost_usd"] > 0
    assert row["gpu_busy_fraction"] == pytest.approx((0.7 + 0.25 + 3.5) / 8.0)


def test_without_start_times_requests_were_sent_when_the_trace_says(files: tuple[Path, Path]) -> None:
    result = {key: value for key, value in RESULT.items() if key != "start_times"}
    assert load(imported(files, result)).requests()["arrived_s"].tolist() == [0.0, 2.0, 4.0]


def test_a_request_that_failed_has_a_row_that_says_so(files: tuple[Path, Path]) -> None:
    requests = load(imported(files, {**RESULT, "errors": ["", "refused", ""]})).requests()
    assert requests["outcome"].tolist() == ["finished", "failed", "finished"]
    assert requests["finished_s"].isna().tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ("{", "not a JSON file"),
        ([], "expected an object, found list"),
        ({"ttfts": []}, 'no list "input_lens".*--save-detailed'),
        ({**RESULT, "ttfts": [0.5]}, '"ttfts" has 1 entries.* 3 requests'),
        ({**RESULT, "ttfts": [0.5, None, 1.0]}, "request 1: .* must be seconds"),
        ({**RESULT, "itls": [[0.1], 3, []]}, "request 1: .* must be seconds"),
        ({**RESULT, "output_lens": [3, "one", 2]}, '"output_lens".*whole numbers'),
    ],
)
def test_a_file_that_is_something_else_is_named_with_what_was_found(
    files: tuple[Path, Path], result: Any, said: str
) -> None:
    with pytest.raises(SimloraError, match=said):
        imported(files, result)


def test_what_is_there_is_not_written_over(files: tuple[Path, Path]) -> None:
    imported(files, RESULT)
    with pytest.raises(ConfigError, match="results already"):
        imported(files, RESULT)


def test_an_unknown_gpu_is_named(files: tuple[Path, Path]) -> None:
    with pytest.raises(SimloraError, match="l40s"):
        imported(files, RESULT, Measured("v", "s", 0, "l40", 1, "ec2-on-demand-2026"))
