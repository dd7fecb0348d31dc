"""Prompt and output lengths as quantiles: of the prompt, and of the output for each tenth of the prompts.

Quantiles per tenth keep dependence of any shape: in conversations the longest prompts have the shortest answers, which
one correlation would miss.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from simlora.errors import TraceError
from simlora.workload.shipped import shipped_dir
from simlora.workload.workload import Floats, Ints

GROUPS = 10
LEVELS = np.array([0.0, 0.01, *np.arange(1, 20) / 20, 0.975, 0.99, 0.995, 0.999, 1.0])


@dataclass(frozen=True)
class LengthTable:
    """Tokens at :data:`LEVELS`; straight lines between."""

    prompt_tokens: Floats
    """One per level."""
    output_tokens: Floats
    """One row per level, one column per tenth of the prompts, shortest prompts first."""

    @classmethod
    def fit(cls, prompt_tokens: ArrayLike, output_tokens: ArrayLike) -> LengthTable:
        """From the lengths of many requests, at least one per tenth."""
        prompts, outputs = np.asarray(prompt_tokens, dtype=np.float64), np.asarray(output_tokens, dtype=np.float64)
        tenths = np.array_split(outputs[np.argsort(prompts, kind="stable")], GROUPS)
        return cls(np.quantile(prompts, LEVELS), np.array([np.quantile(tenth, LEVELS) for tenth in tenths]).T)

    def sample(self, rng: np.random.Generator, count: int) -> tuple[Ints, Ints]:
        """Prompt and output tokens of ``count`` requests; a longer draw begins with the shorter."""
        ranks = rng.random((count, 2))
        prompts = np.interp(ranks[:, 0], LEVELS, self.prompt_tokens)
        tenth = (ranks[:, 0] * GROUPS).astype(np.intp)
        above = np.searchsorted(LEVELS, ranks[:, 1], side="right")
        low, high = self.output_tokens[above - 1, tenth], self.output_tokens[above, tenth]
        outputs = low + (high - low) * (ranks[:, 1] - LEVELS[above - 1]) / (LEVELS[above] - LEVELS[above - 1])
        return np.rint(prompts).astype(np.int64), np.rint(outputs).astype(np.int64)

    def __str__(self) -> str:
        rows = zip(LEVELS, self.prompt_tokens, self.output_tokens, strict=True)
        return "\n".join(
            f"{level:g} {prompt:.6g} {' '.join(f'{tokens:.6g}' for tokens in outputs)}"
            for level, prompt, outputs in rows
        )

    @classmethod
    def parse(cls, text: str) -> LengthTable:
        """From what ``str`` gives; raises ``ValueError``."""
        table = np.array([line.split() for line in text.splitlines()], dtype=np.float64)
        if table.shape != (len(LEVELS), 2 + GROUPS) or not np.array_equal(table[:, 0], LEVELS):
            raise ValueError(f"{len(LEVELS)} rows of {2 + GROUPS} numbers are needed, the levels first")
        return cls(table[:, 1], table[:, 2:])


@dataclass(frozen=True)
class FittedLengths:
    """A shipped table, the default limit of generation (assumption) and where it comes from."""

    table: LengthTable
    max_new_tokens: int
    provenance: Mapping[str, Any]


def lengths_path(name: str, folder: Path | None = None) -> Path:
    """The file of a length table, shipped or in ``folder``."""
    return (folder or shipped_dir()) / f"lengths-{name}.toml"


@lru_cache(maxsize=8)
def load_lengths(path: Path) -> FittedLengths:
    """Read a length table; raises :class:`TraceError` naming the file and what is wrong."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
        return FittedLengths(LengthTable.parse(found["quantiles"]), found["max_new_tokens"], found["provenance"])
    except OSError as error:
        raise TraceError(f"{path}: {error.strerror}") from None
    except KeyError as error:
        raise TraceError(f'{path}: key "{error.args[0]}" is missing') from None
    except ValueError as error:
        raise TraceError(f"{path}: not a length table: {error}") from None
