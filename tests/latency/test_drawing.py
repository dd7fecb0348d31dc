"""Drawn profiles: the same in every process, as wide as the errors that a profile states, and still a profile."""

from __future__ import annotations

import numpy as np
import pytest

from simlora.latency import list_profiles, load_profile
from simlora.latency.drawing import drawn_profile


@pytest.mark.parametrize("name", list_profiles())
def test_draws_spread_as_the_residuals_do(name: str) -> None:
    """Of many draws a tenth lies beyond each of the two percentiles of what was held out."""
    profile = load_profile(name)
    linear = profile.kernels.linear
    factors = [drawn_profile(profile, n).kernels.linear.launch_s or 0.0 for n in range(1, 400)]
    if linear.launch_s == 0:
        factors = [drawn_profile(profile, n).kernels.linear.values[0] / linear.values[0] for n in range(1, 400)]
    else:
        factors = [factor / linear.launch_s for factor in factors]
    weights = [row.points for row in linear.residuals]
    for share, percentile in ((0.1, "p90"), (0.5, "p50"), (0.9, "p10")):
        error = np.average([getattr(row, percentile) for row in linear.residuals], weights=weights)
        assert np.quantile(factors, share) == pytest.approx(1 / (1 + error), abs=0.03)


def test_a_draw_is_a_profile_and_always_the_same_one() -> None:
    profile = load_profile("a100-sxm-80gb", "vllm-0.8.5")
    first, again, other = (drawn_profile(profile, n) for n in (1, 1, 2))
    assert first.kernels == again.kernels != other.kernels
    assert type(profile.kernels).model_validate(first.kernels.model_dump()) == first.kernels
    assert first.gpu == profile.gpu
    assert first.engine is profile.engine
    model = first.model("llama-2-7b")
    times = [model.decode_step_s([n] * 8) for n in (10, 100, 1000)]
    assert times == sorted(times)
    assert drawn_profile(profile, 0) is profile


def test_parts_are_drawn_apart() -> None:
    """Faster matrix products do not go with faster attention."""
    profile = load_profile("h100-sxm")
    drawn = [drawn_profile(profile, n).kernels for n in range(1, 200)]
    products = [kernels.linear.launch_s for kernels in drawn]
    attention = [kernels.prefill_attention.pair_s for kernels in drawn]
    assert abs(np.corrcoef(products, attention)[0, 1]) < 0.2
