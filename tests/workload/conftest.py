"""A short way to build a workload."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simlora.workload import Workload, build_workload

Build = Callable[..., Workload]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """``build_workload`` with two functions, four hours, GSM8K lengths and files from the test's folder."""

    def call(trace: Any, **changed: Any) -> Workload:
        arguments: dict[str, Any] = {
            "lengths": "gsm8k",
            "functions": ["chat", "code"],
            "duration_s": 14_400.0,
            "rate_scale": 1.0,
            "seed": 1,
            "base_dir": tmp_path,
            "data_dir": None,
        }
        return build_workload(trace=trace, **{**arguments, **changed})

    return call
