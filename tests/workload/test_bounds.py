"""Traffic that no run could take is refused at once, before memory is asked for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simlora.errors import ConfigError, TraceError
from simlora.workload import Workload

Build = Callable[..., Workload]

TOO_MUCH = "allowed: up to 20,000,000 in one run"


@pytest.mark.parametrize(
    ("trace", "changed", "message"),
    [
        ({"name": "poisson", "rate_per_s": 1e12}, {}, TOO_MUCH),
        ({"name": "gamma", "rate_per_s": 1e12, "cv": 2.0}, {}, TOO_MUCH),
        ({"name": "on-off", "on_rate_per_s": 1e12, "on_mean_s": 10, "off_mean_s": 10}, {}, TOO_MUCH),
        ({"name": "on-off", "on_rate_per_s": 1, "on_mean_s": 1e-9, "off_mean_s": 1e-9}, {}, TOO_MUCH),
        ({"name": "zipf", "rate_per_s": 1e12, "exponent": 1.0}, {}, TOO_MUCH),
        ({"name": "drift", "rate_per_s": 1, "exponent": 1.0, "every_s": 1e-9}, {}, TOO_MUCH),
        ({"name": "diurnal", "rate_per_s": 1, "period_s": 1e-6}, {}, TOO_MUCH),
        ({"name": "poisson", "rate_per_s": 700.0}, {}, TOO_MUCH),
        ("model/azure-2019-bursty", {"rate_scale": 1e7}, TOO_MUCH),
        ("model/azure-2019-bursty", {"rate_scale": 1e9}, '"rate_scale": found 1e\\+09; allowed: .* up to 20,000,000'),
        ("model/azure-2019-bursty", {"duration_s": 1e13}, '"duration_s": found 1e\\+13; allowed: .* up to 31,622,400'),
        (
            {"name": "poisson", "rate_per_s": 1},
            {"lengths": {"name": "fixed", "prompt_tokens": 10**10, "output_tokens": 1}},
            "prompt_tokens.*10000000",
        ),
    ],
)
def test_too_much_is_told_at_once(build: Build, trace: Any, changed: dict[str, Any], message: str) -> None:
    before_s = time.process_time()
    with pytest.raises(ConfigError, match=message):
        build(trace, **changed)
    assert time.process_time() - before_s < 30


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("arrived_s,function,prompt_tokens,output_tokens\n1,chat,100000000,1\n", 'line 2, column "prompt_tokens"'),
        ("time,function,count\n0,chat,1e300\n", 'line 2, column "count"'),
    ],
)
def test_too_much_in_a_file_has_its_line(build: Build, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "w.csv").write_text(text)
    with pytest.raises(TraceError, match=f"{message}: found .*; allowed: whole numbers from . to "):
        build("w.csv")


def test_draws_without_end_are_cut_where_a_request_ends(build: Build) -> None:
    wild = {"name": "lognormal", "prompt_mean": 1e7, "prompt_cv": 100.0, "output_mean": 10.0, "output_cv": 1.0}
    assert build({"name": "poisson", "rate_per_s": 1}, lengths=wild).prompt_tokens.max() == 10_000_000
