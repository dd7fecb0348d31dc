"""Laws of the clock: positive, monotone, continuous, closed forms equal to walking step by step."""

from __future__ import annotations

import math
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simlora.latency import ModelLatency, Profile, load_profile

LLAMA = load_profile("l40s", "hf-eager").model("llama-2-7b")
PACKED = load_profile("l40s", "vllm-0.8.5").model("llama-2-7b")
batches, ranks = st.integers(1, 256), st.integers(1, 128)
prompts = st.lists(st.integers(1, 4096), min_size=1, max_size=8)


def decode_s(model: ModelLatency, batch: int, context: int, adapters: int, rank: int) -> float:
    return model.span_s(model.decode_line(batch, adapters, rank), context, batch, 1)


def test_decode_grows_with_every_argument(model: ModelLatency) -> None:
    base = (8, 2048, 1, 16)
    for place, values in enumerate(
        [(1, 2, 8, 9, 64, 256, 1024), (0, 100, 10**4, 2 * 10**5), (0, 1, 2, 8), (1, 16, 64)]
    ):
        times = [decode_s(model, *base[:place], value, *base[place + 1 :]) for value in values]
        assert times[0] > 0
        assert times == sorted(times), f"argument {place}: {times}"
        assert len(set(times)) > 1


def test_prefill_grows_with_every_argument(model: ModelLatency) -> None:
    base = (512, 512.0 * 512, 2, 4, 1024, 1, 16)
    grids = [(64, 512, 513, 4096), (0.0, 1e5, 1e7), (1, 2, 8), (0, 1, 64), (0, 10**4), (0, 1, 2, 8), (1, 16, 64)]
    for place, values in enumerate(grids):
        times = [model.prefill_step_s(*base[:place], value, *base[place + 1 :]) for value in values]  # type: ignore[arg-type]
        assert times[0] > 0
        assert times == sorted(times), f"argument {place}: {times}"
        assert times[0] < times[-1]


def test_a_step_that_prefills_nothing_is_a_decode_step(model: ModelLatency) -> None:
    assert model.prefill_step_s(0, 0.0, 0, 32, 9000, 1, 16) == pytest.approx(
        decode_s(model, 32, 9000, 1, 16), rel=1e-12
    )


def test_one_more_token_is_never_a_jump(model: ModelLatency) -> None:
    for tokens in (31, 32, 64, 127, 128, 255, 256, 512, 1024, 2048, 4096):
        here, there = (model.prefill_s([n], [16]) for n in (tokens, tokens + 1))
        assert there - here < 0.02 * here


def test_host_time_is_part_of_a_step(model: ModelLatency) -> None:
    for batch in (1, 16, 200):
        assert 0 <= model.host_s(batch, 1) < decode_s(model, batch, 100 * batch, 1, 16)
        assert model.host_s(batch) <= model.host_s(batch, 1) <= model.host_s(batch, 4)


@given(batches, st.integers(0, 200_000), st.integers(0, 300), ranks)
def test_span_equals_the_sum_of_its_steps(batch: int, context: int, steps: int, rank: int) -> None:
    a, c = line = LLAMA.decode_line(batch, 1, rank)
    naive = math.fsum(a + c * (context + i * batch) for i in range(steps))
    assert LLAMA.span_s(line, context, batch, steps) == pytest.approx(naive, rel=1e-12, abs=1e-15)


@given(batches, st.integers(0, 200_000), st.integers(0, 100_000), ranks)
def test_steps_within_inverts_span(batch: int, context: int, steps: int, rank: int) -> None:
    line = LLAMA.decode_line(batch, 1, rank)
    seconds = LLAMA.span_s(line, context, batch, steps)
    assert LLAMA.steps_within(line, context, batch, seconds) == steps
    assert LLAMA.steps_within(line, context, batch, math.nextafter(seconds, 0)) == max(steps - 1, 0)


@given(batches, st.integers(0, 200_000), st.floats(-1, 3600))
def test_steps_within_is_the_largest_that_fits(batch: int, context: int, seconds: float) -> None:
    line = LLAMA.decode_line(batch, 1, 16)
    steps = LLAMA.steps_within(line, context, batch, seconds)
    assert steps == 0 or LLAMA.span_s(line, context, batch, steps) <= seconds
    assert LLAMA.span_s(line, context, batch, steps + 1) > seconds


@settings(max_examples=50)
@given(prompts)
def test_chunks_form_the_pairs_of_the_whole(lengths: list[int]) -> None:
    """n (n + 2 past) over the chunks of a prompt adds up to what the whole prompt is charged, whatever the chunks."""
    past = pairs = 0
    for n in lengths:
        pairs += n * (n + 2 * past)
        past += n
    assert (past, pairs) == PACKED.prefill_load([sum(lengths)])


def test_padding_pays_for_the_longest() -> None:
    assert LLAMA.prefill_load([10, 100]) == (200, 20_000.0)
    assert PACKED.prefill_load([10, 100]) == (110, 10_100.0)
    assert LLAMA.prefill_s([10, 100], [16]) == LLAMA.prefill_s([100, 100], [16])


def test_beyond_the_measured_range_is_counted_and_warned_of_once() -> None:
    profile = load_profile("l40s", "hf-eager")
    model = profile.model("llama-2-7b")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.decode_step_s([100] * 8, [16])
        model.prefill_s([4096], [16])
    assert profile.out_of_range() == {"prefill": 0, "decode": 0}
    with pytest.warns(UserWarning, match="decode with batch 5000, measured up to 2048"):
        model.decode_line(5000, 1, 16)
    with pytest.warns(UserWarning, match="prefill of 40000 tokens, measured up to 32768"):
        model.prefill_s([40_000])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.decode_line(5000, 1, 16)
        model.span_s(model.decode_line(8, 1, 16), 10**7, 8, 1)
    assert profile.out_of_range() == {"prefill": 1, "decode": 3}


def test_lora_costs_per_token_prefilled_where_an_engine_says_so() -> None:
    """Nothing without an adapter, nothing in a step that only decodes."""
    profile = load_profile("l40s", "vllm-0.8.5")
    lora = profile.engine.lora.model_copy(update={"token_s": 1e-4})
    dear = Profile(profile.kernels, profile.engine.model_copy(update={"lora": lora})).model("llama-2-7b")
    assert dear.prefill_s([300, 200], [16]) - PACKED.prefill_s([300, 200], [16]) == pytest.approx(500e-4)
    assert dear.prefill_s([300, 200]) == PACKED.prefill_s([300, 200])
    assert dear.decode_step_s([300, 200], [16]) == PACKED.decode_step_s([300, 200], [16])
