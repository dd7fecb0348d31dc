"""The schema of an experiment file, and how one is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from simlora.cluster.config import ClusterConfig
from simlora.cluster.failures import Failure
from simlora.errors import ConfigError
from simlora.study.document import Document, read_document
from simlora.study.faults import refusal
from simlora.study.generated import GeneratedFunctions
from simlora.study.overrides import Setting, apply_settings, points_of

MOST_SEEDS = 10_000
FORBIDDEN_IN_NAMES = '/\\:*?"<>|'
Seed = Annotated[int, Field(ge=0, strict=True)]


def check_name(name: str) -> str:
    """Names of systems and scenarios are names of folders too."""
    if not name or name.strip() != name or name.startswith(".") or any(c in FORBIDDEN_IN_NAMES for c in name):
        raise ValueError(f"a name is a folder's name too, so none of {FORBIDDEN_IN_NAMES} (found {name!r})")
    return name


class Scenario(BaseModel):
    """``[[scenario]]``: what traffic arrives, and, where they differ from the experiment's, where and for whom."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    trace: str | dict[str, Any]
    lengths: str | dict[str, Any] = "gsm8k"
    duration_s: float = Field(gt=0, strict=True, allow_inf_nan=False)
    rate_scale: float = Field(default=1.0, gt=0, strict=True, allow_inf_nan=False)
    cluster: dict[str, Any] = Field(default={}, description="keys of [cluster] that differ in this scenario")
    functions: str | GeneratedFunctions | None = Field(default=None, description="another functions table")
    failure: list[Failure] = Field(default=[], description="what fails, the same for all systems")

    _name = field_validator("name")(check_name)

    @model_validator(mode="before")
    @classmethod
    def _rate_is_of_the_trace(cls, values: Any) -> Any:
        if isinstance(values, dict) and "rate_per_s" in values:
            rate = values["rate_per_s"]
            raise ValueError(f'rate_per_s is a key of the trace: trace = {{ name = "poisson", rate_per_s = {rate} }}')
        return values


class System(BaseModel):
    """``[[system]]``: a shipped one (``use``), or one built on another (``name``, ``base``, and keys that differ)."""

    model_config = ConfigDict(extra="allow", frozen=True)

    use: str | None = None
    name: str = ""
    base: str = ""
    fewest: bool = Field(
        default=True, strict=True, description="an always-on system is shown with the fewest GPUs that do, too"
    )

    @model_validator(mode="after")
    def _one_form(self) -> System:
        if self.use is not None:
            others = [*(key for key in ("name", "base") if getattr(self, key)), *self.overrides]
            if others:
                raise ValueError(f"use takes a shipped system as it is; to change {others[0]}, write name and base")
        elif not self.name or not self.base:
            raise ValueError('a system is either use = "...", or name = "..." and base = "..." with what differs')
        check_name(self.called)
        return self

    @property
    def called(self) -> str:
        """Its name in tables and folders."""
        return self.use if self.use is not None else self.name

    @property
    def overrides(self) -> dict[str, Any]:
        """The keys that differ from its base."""
        return dict(self.model_extra or {})


class Ablation(BaseModel):
    """``[[ablation]]``: a system with a few keys set otherwise."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    base: str
    set: dict[str, Any] = Field(min_length=1)

    _name = field_validator("name")(check_name)


class Variation(BaseModel):
    """``[[variation]]``: the whole experiment once more with a few keys set otherwise, as the point ``of=to``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    of: str = Field(description="what is varied, such as an assumption")
    to: str = Field(description="what it is in this variation")
    set: dict[str, Any] = Field(min_length=1, description="dotted keys, as after --set")

    @field_validator("of", "to")
    @classmethod
    def _part_of_a_point(cls, value: str) -> str:
        if any(c in value for c in ",="):
            raise ValueError(f"a point is named of=to, so neither has a comma or an equals sign (found {value!r})")
        return check_name(value)


class Experiment(BaseModel):
    """The whole file. ``slo``: ``published`` takes those of the functions table; ``warm-5x`` five times the system's
    own warm time to first token of a lone request, by the profile under its engine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seeds: Seed | Annotated[list[Seed], Field(min_length=1)] = 10
    functions: str | GeneratedFunctions
    provider: str | None = Field(default=None, description="a platform's limits and prices for all systems that rent")
    prices: list[str] = []
    profile: str = "l40s"
    slo: Literal["published", "warm-5x"] = "published"
    horizon_s: float | None = Field(default=None, gt=0, strict=True, description="stop there, whatever is unfinished")
    cell_timeout_s: float | None = Field(
        default=None, gt=0, strict=True, allow_inf_nan=False, description="wall-clock seconds that one run may take"
    )
    cluster: ClusterConfig = ClusterConfig()
    scenario: list[Scenario] = Field(min_length=1)
    system: list[System] = Field(min_length=1)
    ablation: list[Ablation] = []
    sweep: dict[str, list[Any]] = {}
    variation: list[Variation] = []

    @field_validator("seeds")
    @classmethod
    def _some_seeds(cls, value: int | list[int]) -> int | list[int]:
        if value == 0:
            raise ValueError("at least one seed (found 0)")
        if isinstance(value, int) and value > MOST_SEEDS:
            raise ValueError(f"at most {MOST_SEEDS:,} seeds (found {value:,})")
        if isinstance(value, list):
            _no_twins("seed", value)
        return value

    @model_validator(mode="after")
    def _some_price(self) -> Experiment:
        if not self.prices and self.provider is None:
            raise ValueError("prices: at least one price list, or a provider that has one")
        return self

    @model_validator(mode="after")
    def _distinct_names(self) -> Experiment:
        _no_twins("scenario", [one.name for one in self.scenario])
        _no_twins("variation", [f"{one.of}={one.to}" for one in self.variation])
        _no_twins("system or ablation", [*(s.called for s in self.system), *(a.name for a in self.ablation)])
        return self

    @model_validator(mode="after")
    def _one_kind_of_points(self) -> Experiment:
        if self.sweep and self.variation:
            raise ValueError("variations are of the file's own values: an experiment has a sweep or variations")
        return self

    @property
    def seed_list(self) -> list[int]:
        """The seeds, paired across systems; a number stands for 0, 1, ... below it."""
        return list(range(self.seeds)) if isinstance(self.seeds, int) else self.seeds


def _no_twins(what: str, names: Sequence[Any]) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise ValueError(f'{count} times {what} "{name}"; each must be named once')


@dataclass(frozen=True)
class Study:
    """An experiment file as read: its document, and one experiment per point of its sweep."""

    document: Document
    points: dict[str, Experiment]

    @property
    def experiment(self) -> Experiment:
        """That of the first point; names, seeds and prices are the same at all of them."""
        return next(iter(self.points.values()))

    @property
    def base_dir(self) -> Path:
        """The folder from which the file's paths and policies are found."""
        return self.document.path.parent


def read_study(path: Path, settings: Sequence[Setting] = ()) -> Study:
    """Read an experiment file, with settings of the command line put over it.

    Raises :class:`ConfigError` naming file, line and key for anything that does not fit.
    """
    document = apply_settings(read_document(path), settings)
    _validate(document, Experiment)
    points = {name: _validate(at_point, Experiment) for name, at_point in points_of(document)}
    return Study(document, points)


def _validate(document: Document, schema: type[Experiment]) -> Experiment:
    try:
        return schema.model_validate(document.table)
    except ValidationError as error:
        raise refusal(error, schema, document) from None
    except TypeError as error:
        raise ConfigError(f"{document.path}: {error}") from None
