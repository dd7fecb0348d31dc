"""The named length samplers and their keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from simlora.workload.bounds import MOST_TOKENS
from simlora.workload.lengths.fitted import lengths_path, load_lengths
from simlora.workload.options import read_options
from simlora.workload.workload import Ints

DEFAULT_MAX_NEW_TOKENS = 2048
"""Assumption, as for the Azure tables: the least power of two above their longest output (1,899)."""


class LengthSampler(Protocol):
    """Gives requests their lengths."""

    @property
    def max_new_tokens(self) -> int | None:
        """The key of the experiment file, if given."""
        ...

    @property
    def limit(self) -> int:
        """That key, else the sampler's default. Generation stops there: outputs are cut to it."""
        ...

    def sample(self, rng: np.random.Generator, count: int) -> tuple[Ints, Ints]:
        """Prompt and output tokens of ``count`` requests, each at least 1."""
        ...


class Options(BaseModel):
    """Keys of every sampler."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_new_tokens: int | None = Field(default=None, ge=1, le=MOST_TOKENS)


class Fitted(Options):
    """Drawn from a shipped table of quantiles (``traces/lengths-*.toml``)."""

    table: Literal["gsm8k", "azure-code", "azure-conv"]

    @property
    def limit(self) -> int:
        return self.max_new_tokens or load_lengths(lengths_path(self.table)).max_new_tokens

    def sample(self, rng: np.random.Generator, count: int) -> tuple[Ints, Ints]:
        return load_lengths(lengths_path(self.table)).table.sample(rng, count)


class Fixed(Options):
    """Every request alike."""

    prompt_tokens: int = Field(ge=1, le=MOST_TOKENS)
    output_tokens: int = Field(ge=1, le=MOST_TOKENS)

    @property
    def limit(self) -> int:
        return self.max_new_tokens or self.output_tokens

    def sample(self, rng: np.random.Generator, count: int) -> tuple[Ints, Ints]:
        return np.full(count, self.prompt_tokens), np.full(count, self.output_tokens)


class Lognormal(Options):
    """Independent log-normal lengths, given by mean and coefficient of variation, cut at what a request may have."""

    prompt_mean: float = Field(ge=1, le=MOST_TOKENS)
    prompt_cv: float = Field(ge=0, le=100)
    output_mean: float = Field(ge=1, le=MOST_TOKENS)
    output_cv: float = Field(ge=0, le=100)

    @property
    def limit(self) -> int:
        return self.max_new_tokens or DEFAULT_MAX_NEW_TOKENS

    def sample(self, rng: np.random.Generator, count: int) -> tuple[Ints, Ints]:
        mean, cv = np.array([self.prompt_mean, self.output_mean]), np.array([self.prompt_cv, self.output_cv])
        sigma = np.sqrt(np.log1p(cv**2))
        drawn = mean * np.exp(sigma * rng.standard_normal((count, 2)) - sigma**2 / 2.0)
        tokens = np.clip(np.rint(drawn), 1.0, MOST_TOKENS).astype(np.int64)
        return tokens[:, 0], tokens[:, 1]


LENGTHS: dict[str, tuple[type[Options], Mapping[str, Any], str]] = {
    "gsm8k": (Fitted, {"table": "gsm8k"}, "grade-school maths questions and answers, Llama-2 tokens"),
    "azure-code": (Fitted, {"table": "azure-code"}, "Azure LLM inference 2023, code completion"),
    "azure-conv": (Fitted, {"table": "azure-conv"}, "Azure LLM inference 2023, conversation"),
    "fixed": (Fixed, {}, "every request alike: prompt_tokens, output_tokens"),
    "lognormal": (Lognormal, {}, "prompt_mean, prompt_cv, output_mean, output_cv"),
}


def make_lengths(lengths: str | Mapping[str, Any]) -> LengthSampler:
    """The sampler of a name or a table with ``name`` and its keys; raises :class:`~simlora.errors.ConfigError`."""
    made: Any = read_options("lengths", lengths, {name: entry[:2] for name, entry in LENGTHS.items()})
    return made  # type: ignore[no-any-return]


def source_of(name: str) -> str:
    """Where the lengths of a named sampler come from."""
    table = LENGTHS[name][1].get("table")
    return str(load_lengths(lengths_path(table)).provenance["origin"]) if table else "its keys"
