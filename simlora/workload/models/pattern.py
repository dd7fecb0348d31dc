"""The trace model of a class: the fitted coefficients of its segments, drawn jointly, one function's each.

Drawing whole vectors keeps how the coefficients go together between functions; popularity follows from their rates.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from simlora.errors import TraceError
from simlora.workload.models.segment import SegmentModel
from simlora.workload.segments import SEGMENT_MINUTES
from simlora.workload.shipped import shipped_dir
from simlora.workload.variability import variability
from simlora.workload.workload import Ints

REDRAWS = 100
"""Replicas tried until one is of its class; fitted segments seldom need more than a few (assumption)."""


@dataclass(frozen=True)
class PatternModel:
    """``segments``: coefficients by segment id, as text until asked for; ``provenance``: origin, licence, fit."""

    pattern: str
    segments: Mapping[str, str]
    provenance: Mapping[str, Any]

    def segment(self, segment_id: str) -> SegmentModel:
        """The fitted model of one segment."""
        return SegmentModel.parse(self.segments[segment_id])

    def sample(self, segment_id: str, rng: np.random.Generator, minutes: int) -> Ints:
        """Requests per minute of a replica whose first four hours are of this class, as every real segment's are."""
        model = self.segment(segment_id)
        for _ in range(REDRAWS):
            replica = model.sample(rng, max(minutes, SEGMENT_MINUTES))
            if variability(replica[:SEGMENT_MINUTES]).pattern == self.pattern:
                break
        return replica[:minutes]


def model_path(pattern: str, folder: Path | None = None) -> Path:
    """The file of a class's model, shipped or in ``folder``."""
    return (folder or shipped_dir()) / f"azure-2019-{pattern}.toml"


@lru_cache(maxsize=8)
def load_pattern_model(path: Path) -> PatternModel:
    """Read a model file; raises :class:`TraceError` naming the file and what is wrong."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        rows = dict(line.split(" ", 1) for line in table["segments"].splitlines())
        return PatternModel(table["pattern"], rows, table["provenance"])
    except OSError as error:
        raise TraceError(f"{path}: {error.strerror}") from None
    except KeyError as error:
        raise TraceError(
            f'{path}: key "{error.args[0]}" is missing; a trace model has pattern, segments and provenance'
        ) from None
    except ValueError as error:
        raise TraceError(f"{path}: not a trace model: {error}") from None
