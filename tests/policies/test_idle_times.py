"""The hybrid histogram: its windows worked out by hand, and what its two policies make of them in a run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from simlora.policies.idle_times import IdleTimes, Window
from simlora.testing import Scenario, make_functions, make_workload

MINUTE = 60.0
(FUNCTION,) = make_functions("llama-2-7b")


def window_after(gaps_s: Sequence[float], **keys: float) -> Window:
    """Relative to the last call."""
    times = IdleTimes(**keys)  # type: ignore[arg-type]
    at_s = 5.0
    times.observe_arrival(FUNCTION, at_s)
    for gap_s in gaps_s:
        at_s += gap_s
        times.observe_arrival(FUNCTION, at_s)
    window = times.window(FUNCTION)
    assert window is not None
    return Window(window.load_s - at_s, window.keep_s - at_s)


def near(load_s: float, keep_s: float) -> object:
    return pytest.approx((load_s, keep_s))


def test_before_the_first_call_there_is_no_window() -> None:
    assert IdleTimes().window(FUNCTION) is None


@pytest.mark.parametrize("gaps_s", [[], [600.0], [20_000.0]])
def test_too_few_gaps_keep_for_the_whole_range(gaps_s: list[float]) -> None:
    assert window_after(gaps_s) == near(0.0, 4 * 3600.0)


def test_head_and_tail_with_their_margins() -> None:
    """Of 100 gaps 4 last 3 minutes, 95 ten and one 30: the 5 % quantile is 10 minutes, the 99 % one too."""
    gaps_s = [3.5 * MINUTE] * 4 + [10.5 * MINUTE] * 95 + [30.5 * MINUTE]
    assert window_after(gaps_s) == near(0.9 * 10 * MINUTE, 1.1 * 11 * MINUTE)
    assert window_after([*gaps_s, *[3.5 * MINUTE] * 2, 30.5 * MINUTE]) == near(0.9 * 3 * MINUTE, 1.1 * 31 * MINUTE)


def test_a_head_in_the_first_bin_never_lets_go() -> None:
    assert window_after([20.0] * 10 + [300.0] * 3).load_s == 0.0


def test_counts_that_differ_little_over_the_bins_keep_for_the_whole_range() -> None:
    """n gaps in n of 240 bins have a coefficient of variation of sqrt(240 / n - 1): 2 for n = 48."""
    assert window_after([MINUTE * (n + 0.5) for n in range(49)]) == near(0.0, 4 * 3600.0)
    assert window_after([MINUTE * (n + 0.5) for n in range(47)]).keep_s < 4 * 3600.0


def test_gaps_beyond_the_range_are_predicted_by_their_mean() -> None:
    assert window_after([18_000.0, 22_000.0]) == near(0.85 * 20_000.0, 1.15 * 20_000.0)
    assert window_after([18_000.0, 600.0]) == near(0.85 * 9_300.0, 1.15 * 9_300.0)
    assert window_after([30_000.0, 18_000.0, 22_000.0], recent_gaps=2) == near(0.85 * 20_000.0, 1.15 * 20_000.0)
    assert window_after([18_000.0, 600.0, 600.0]) == near(0.9 * 600.0, 1.1 * 660.0)


CALLS = [(630.0 * n, 0, 100, 10) for n in range(8)]
BOTH = {"keepalive": "hybrid-histogram", "preloading": "hybrid-histogram"}


def test_a_regular_function_is_let_go_and_loaded_in_time() -> None:
    """Called every 10.5 minutes: after two gaps it is let go at once and back after 9, all but its first run."""
    record = Scenario("insta-infer", [FUNCTION], make_workload(CALLS), BOTH).run()
    assert record.requests["cold"].to_pylist() == [True, False, False] + [True] * 5
    waits_s = np.subtract(record.requests["first_token_s"], record.requests["arrived_s"])
    assert waits_s[3:].max() < 1.5 < waits_s[0]
    loads = [row["at_s"] for row in record.events.to_pylist() if row["why"] == "its window opens"]
    assert loads == pytest.approx([CALLS[n][0] + 540.0 for n in range(2, 7)])


def test_a_call_puts_off_the_load_that_was_due() -> None:
    """Called again after 5 minutes, it is loaded 0.9 x 5 minutes after that call, not 9 after the one before."""
    calls = [*CALLS[:4], (CALLS[3][0] + 310.0, 0, 100, 10)]
    record = Scenario("insta-infer", [FUNCTION], make_workload([*calls, (5000.0, 0, 100, 10)]), BOTH).run()
    loads = [row["at_s"] for row in record.events.to_pylist() if row["why"] == "its window opens"]
    assert next(at_s for at_s in loads if at_s > calls[-1][0]) == pytest.approx(calls[-1][0] + 270.0)


def test_it_holds_memory_a_fraction_of_the_time_of_a_keep_alive_that_is_as_warm() -> None:
    def held_s(keepalive: object, preloading: str) -> float:
        keys = {"keepalive": keepalive, "preloading": preloading}
        usage = Scenario("insta-infer", [FUNCTION], make_workload(CALLS), keys).run().usage.to_pandas()
        late = usage[(usage["from_s"] > 1300.0) & (usage["to_s"] < 4400.0)]
        return float(((late["to_s"] - late["from_s"]) * late["device_bytes"]).sum())

    assert held_s("hybrid-histogram", "hybrid-histogram") < 0.25 * held_s({"policy": "fixed", "idle_s": 700.0}, "none")
