"""Length samplers: bounds, moments, and dependence kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from simlora.errors import ConfigError, TraceError
from simlora.workload.fit import LENGTH_TABLES, length_data
from simlora.workload.lengths import make_lengths
from simlora.workload.lengths.fitted import LengthTable, lengths_path, load_lengths
from simlora.workload.models.distribution import rank_correlation


@pytest.mark.parametrize("name", LENGTH_TABLES)
def test_shipped_tables(name: str) -> None:
    found = load_lengths(lengths_path(name))
    prompts, outputs = make_lengths(name).sample(np.random.default_rng(1), 20_000)
    assert prompts.min() >= 1
    assert outputs.min() >= 1
    assert outputs.max() <= found.table.output_tokens.max() <= found.max_new_tokens == make_lengths(name).limit
    for key in ("data_set", "origin", "licence", "cite", "fitted", "command"):
        assert found.provenance[key]
    stated = found.provenance["goodness"]
    assert prompts.mean() == pytest.approx(stated["prompt tokens"]["real"][0], rel=0.03)
    assert outputs.mean() == pytest.approx(stated["output tokens"]["real"][0], rel=0.06)
    assert rank_correlation(prompts, outputs) == pytest.approx(stated["rank correlation"]["real"][0], abs=0.03)


@pytest.mark.parametrize("name", LENGTH_TABLES)
def test_a_longer_draw_begins_with_the_shorter(name: str) -> None:
    short, long = (make_lengths(name).sample(np.random.default_rng(5), count) for count in (10, 50))
    assert short[0].tolist() == long[0][:10].tolist()
    assert short[1].tolist() == long[1][:10].tolist()


def test_long_prompts_of_conversations_have_short_answers() -> None:
    prompts, outputs = make_lengths("azure-conv").sample(np.random.default_rng(1), 40_000)
    longest = prompts >= np.quantile(prompts, 0.9)
    assert np.quantile(outputs[longest], 0.9) < 200 < np.quantile(outputs[~longest], 0.9)


def test_dependence_that_no_correlation_shows_is_kept() -> None:
    rng = np.random.default_rng(1)
    prompts = rng.integers(1, 1001, 10_000)
    outputs = 10 + np.abs(prompts - 500)
    drawn_prompts, drawn = LengthTable.fit(prompts, outputs).sample(rng, 10_000)
    middle = np.abs(drawn_prompts - 500) < 90
    assert drawn[middle].mean() < 75
    assert drawn[~middle].mean() > 250


def test_tables_fit_the_data(data_dir: Path) -> None:
    for data in length_data(data_dir):
        table = load_lengths(lengths_path(data.name)).table
        again = LengthTable.parse(str(LengthTable.fit(data.prompt_tokens, data.output_tokens)))
        assert np.array_equal(table.prompt_tokens, again.prompt_tokens)
        assert np.array_equal(table.output_tokens, again.output_tokens)
        assert data.output_tokens.max() <= data.max_new_tokens


def test_fixed() -> None:
    sampler = make_lengths({"name": "fixed", "prompt_tokens": 7, "output_tokens": 3})
    assert sampler.limit == 3
    assert [column.tolist() for column in sampler.sample(np.random.default_rng(1), 2)] == [[7, 7], [3, 3]]


def test_lognormal_moments() -> None:
    keys = {"prompt_mean": 300, "prompt_cv": 0.5, "output_mean": 100, "output_cv": 1.5}
    prompts, outputs = make_lengths({"name": "lognormal", **keys}).sample(np.random.default_rng(1), 200_000)
    assert prompts.mean() == pytest.approx(300, rel=0.02)
    assert prompts.std() / prompts.mean() == pytest.approx(0.5, rel=0.03)
    assert outputs.mean() == pytest.approx(100, rel=0.02)
    assert outputs.std() / outputs.mean() == pytest.approx(1.5, rel=0.06)


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ("gsm8", 'did you mean "gsm8k"'),
        ({"name": "gsm8k", "max_new_token": 5}, 'did you mean "max_new_tokens"'),
        ({"name": "gsm8k", "table": "azure-code"}, 'no key "table"'),
        ({"name": "gsm8k", "max_new_tokens": 0}, "found 0"),
        ({"name": "fixed", "prompt_tokens": 3}, '"output_tokens" is missing'),
        ({"prompt_tokens": 3}, 'key "name" is missing'),
        (3, "found 3"),
    ],
)
def test_bad_keys(lengths: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_lengths(lengths)  # type: ignore[arg-type]


def test_damaged_table(tmp_path: Path) -> None:
    path = tmp_path / "lengths-x.toml"
    path.write_text('max_new_tokens = 3\nquantiles = "1 2"\n[provenance]\n')
    with pytest.raises(TraceError, match=r"lengths-x\.toml: not a length table"):
        load_lengths(path)
