"""A functions table that the experiment file describes instead of naming a CSV."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from simlora.errors import ConfigError, TraceError
from simlora.study.functions import Row, parse_modules, read_functions, resolve_backbone
from simlora.workload.workload import stream

PUBLISHED_TTFT_S = {"llama-2-7b": 2.5, "llama-2-13b": 4.0}
"""SLOs of the ServerlessLoRA paper (arXiv 2505.14468), five times the first warm TTFT, by a public account of it
(SHUs-Lab/SwarmLoRA)."""

Count = Annotated[int, Field(ge=1, le=1_000_000, strict=True)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]


class GeneratedFunctions(BaseModel):
    """``functions = { count = 300, backbones = [...], ... }``: functions f0, f1, ... of mixed kinds.

    Every combination of backbone, rank and target modules occurs once in each block of as many rows as there are
    combinations, in an order drawn for the block: kinds are balanced, popularity by row does not go with kind, and a
    further function changes no other. A value listed twice is taken twice as often.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    count: Count
    backbones: Annotated[list[str], Field(min_length=1)]
    ranks: Annotated[list[Count], Field(min_length=1)] = [16]
    target_modules: Annotated[list[str], Field(min_length=1, description="each as in a functions table")] = [
        "q_proj;v_proj"
    ]
    slo_ttft_s: Seconds | dict[str, Seconds] | None = Field(
        default=None, description="of all or by backbone; by default the published ones of Llama-2 7B and 13B"
    )
    slo_tpot_s: Seconds | None = None
    tensor_parallel: dict[str, Count] = Field(default={}, description="GPUs that a backbone is split over, where not 1")
    seed: Annotated[int, Field(ge=0, strict=True, description="of the order in each block; the same for all runs")] = 0

    def rows(self, folder: Path) -> list[Row]:
        """The rows as of a functions table; raises :class:`ConfigError` or :class:`TraceError` for a name in them."""
        for name in self.tensor_parallel:
            if name not in self.backbones:
                raise ConfigError(f'tensor_parallel: "{name}" is none of backbones ({", ".join(self.backbones)})')
        for name in self.backbones:
            resolve_backbone(name, folder, self.tensor_parallel.get(name, 1))
        slos = self._slos()
        modules = [parse_modules(text, "target_modules") for text in self.target_modules]
        kinds = list(itertools.product(self.backbones, self.ranks, modules))
        blocks = [stream(self.seed, "functions", block) for block in range(-(-self.count // len(kinds)))]
        order = [kinds[place] for block in blocks for place in block.permutation(len(kinds))]
        return [
            {
                "function": name,
                "backbone": backbone,
                "rank": rank,
                "target_modules": list(targets),
                "slo_ttft_s": slos.get(backbone),
                "slo_tpot_s": self.slo_tpot_s,
                "tensor_parallel": self.tensor_parallel.get(backbone, 1),
            }
            for name, (backbone, rank, targets) in zip(unnamed(self.count), order, strict=False)
        ]

    def _slos(self) -> dict[str, float]:
        if isinstance(self.slo_ttft_s, float):
            return dict.fromkeys(self.backbones, self.slo_ttft_s)
        for name in self.slo_ttft_s or {}:
            if name not in self.backbones:
                raise ConfigError(f'slo_ttft_s: "{name}" is none of backbones ({", ".join(self.backbones)})')
        return {**PUBLISHED_TTFT_S, **(self.slo_ttft_s or {})}


def unnamed(count: int) -> list[str]:
    """Names of functions that nobody has named."""
    return [f"f{row}" for row in range(count)]


def table_rows(table: str | GeneratedFunctions, base_dir: Path) -> tuple[list[Row], Path]:
    """The rows of a table and the folder, relative to ``base_dir``, from which its backbones are found."""
    if isinstance(table, str):
        return read_functions(base_dir / table), Path(table).parent
    try:
        return table.rows(base_dir), Path()
    except (ConfigError, TraceError) as error:
        raise ConfigError(f"functions: {error}") from None
