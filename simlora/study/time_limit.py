"""An end to a run that takes too long, wherever it is: also inside one call of a policy that never returns."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn


class OutOfTime(BaseException):
    """Not an ``Exception``, so that no policy takes it for one of its own."""


@contextmanager
def time_limit(limit_s: float | None) -> Iterator[None]:
    """Raise :class:`OutOfTime` at the line reached after ``limit_s`` seconds of wall-clock time; never if ``None``."""
    if limit_s is None:
        yield
        return

    def ring(*_: object) -> NoReturn:
        raise OutOfTime(f"not finished after cell_timeout_s = {limit_s:g}")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
