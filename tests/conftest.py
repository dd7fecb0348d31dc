"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real traces and public tables; tests that need it are skipped where it isn't there."""
    value = os.environ.get("SIMLORA_DATA", "")
    if not value or not (Path(value) / "traces").is_dir():
        pytest.skip("SIMLORA_DATA does not name a folder holding traces/")
    return Path(value)
