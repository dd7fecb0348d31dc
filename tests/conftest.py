"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

HANGS_AFTER_S = 20


def pytest_configure() -> None:
    """A shell ignores interrupts in what it starts in the background, and so would every run that the tests start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real traces and public tables; tests that need it are skipped where it isn't there."""
    value = os.environ.get("SIMLORA_DATA", "")
    if not value or not (Path(value) / "traces").is_dir():
        pytest.skip("SIMLORA_DATA does not name a folder holding traces/")
    return Path(value)


@pytest.fixture
def no_hang() -> Iterator[None]:
    """A test that computes on and on fails instead; its own time counts, not that of others on the machine."""

    def give_up(number: int, frame: FrameType | None) -> None:
        raise AssertionError(f"hangs: still running after {HANGS_AFTER_S} s")

    before = signal.signal(signal.SIGPROF, give_up)
    signal.setitimer(signal.ITIMER_PROF, HANGS_AFTER_S, HANGS_AFTER_S)
    yield
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.signal(signal.SIGPROF, before)
