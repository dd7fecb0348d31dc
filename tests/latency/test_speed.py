"""The hot path stays scalar and cheap."""

from __future__ import annotations

import timeit
from collections.abc import Callable

import pytest

from simlora.latency import ModelLatency

CALLS: dict[str, Callable[[ModelLatency], object]] = {
    "decode_line": lambda m: m.decode_line(8, 1, 16),
    "span_s": lambda m: m.span_s((0.05, 1e-6), 800, 8, 100),
    "steps_within": lambda m: m.steps_within((0.05, 1e-6), 800, 8, 3.3),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_scalar_call_takes_under_two_microseconds(name: str, llama: ModelLatency) -> None:
    call, loops = CALLS[name], 20_000
    best_s = min(timeit.repeat(lambda: call(llama), number=loops, repeat=5)) / loops
    assert best_s < 2e-6
