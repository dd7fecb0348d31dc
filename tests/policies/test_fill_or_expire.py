"""ServerlessLoRA's delay: by the clamped rule a lone request waits as long as its bounds say, whatever its SLO."""

from __future__ import annotations

from pathlib import Path

import pytest

from simlora.errors import ConfigError
from simlora.systems import build_policies, load_system
from simlora.testing import Scenario, make_functions, make_workload


def waited_s(**keys: float) -> float:
    """From the arrival of a lone request until it is sent to an instance; its SLO leaves 2.4 s of slack."""
    options = {"batching": {"policy": "fill-or-expire", "delay_rule": "clamped", **keys}}
    scenario = Scenario("serverless-lora", make_functions("llama-2-7b"), make_workload([(0.0, 0, 50, 5)]), options)
    (request,) = scenario.run().requests.to_pylist()
    return float(request["bound_s"] - request["arrived_s"])


def test_a_delay_is_clamped_between_its_bounds() -> None:
    assert waited_s() == pytest.approx(0.25)
    assert waited_s(clamp_high_s=1.5) == pytest.approx(1.5)
    assert waited_s(clamp_low_s=3.0, clamp_high_s=4.0) == pytest.approx(3.0)


def test_bounds_that_cross_are_refused(tmp_path: Path) -> None:
    system = load_system("serverless-lora", {"batching.clamp_low_s": 0.3})
    with pytest.raises(ConfigError, match="0 <= clamp_low_s <= clamp_high_s must hold"):
        build_policies(system, tmp_path)
