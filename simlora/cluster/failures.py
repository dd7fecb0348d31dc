"""What fails in a scenario: ``[[scenario.failure]]`` of an experiment file."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from simlora.cluster.config import ClusterConfig
from simlora.errors import ConfigError, unknown_name

WHEN = ("at_s", "rate_per_hour")
KEYS = {
    "gpu": ("gpu", "for_s"),
    "node": ("node", "for_s"),
    "worker": ("function", "during"),
    "backbone": ("gpu",),
    "adapter": ("function", "once", "for_s"),
    "remote": ("factor", "for_s"),
}
"""The keys that go with each kind of failure, besides when it comes."""
EFFECTS = {
    "gpu": "a GPU (any, or the one named) and all on it are lost, for a time or for good",
    "node": "a node (any, or the one named), its GPUs and its host memory are lost, for a time or for good",
    "worker": "an instance at work (any, or one of the function named) crashes, in a batch or while it starts",
    "backbone": "the process of a shared backbone (any, or on the GPU named) crashes, and all that map it",
    "adapter": "loads of an adapter (any, or that of the function named) fail: the next one, for a time or for good",
    "remote": "the remote store gives a share of its rate for a time; none: it is down",
}


class Failure(BaseModel):
    """One failure at a time, or failures at a rate, as a Poisson process of its own random stream.

    What it may strike is looked for when its time comes; if there is nothing, nothing happens.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    what: Literal["gpu", "node", "worker", "backbone", "adapter", "remote"]
    at_s: float | None = Field(default=None, ge=0, strict=True, allow_inf_nan=False)
    rate_per_hour: float | None = Field(default=None, gt=0, le=3_600, strict=True, allow_inf_nan=False)
    for_s: float | None = Field(default=None, gt=0, le=86_400, strict=True, description="absent: for good")
    gpu: int | None = Field(default=None, ge=0, strict=True)
    node: int | None = Field(default=None, ge=0, strict=True)
    function: str | None = None
    during: Literal["batch", "start"] | None = Field(default=None, description="absent: either")
    once: bool | None = Field(default=None, strict=True, description="one load fails instead of every one")
    factor: float | None = Field(default=None, ge=0, lt=1, strict=True, description="of its rate; absent: it is down")

    @model_validator(mode="after")
    def _keys_go_together(self) -> Failure:
        for key in self.model_fields_set - {"what", *WHEN}:
            if key not in KEYS[self.what] and getattr(self, key) is not None:
                allowed = ", ".join((*WHEN, *KEYS[self.what]))
                raise ValueError(f'{key} does not go with what = "{self.what}"; allowed: {allowed}')
        if (self.at_s is None) is (self.rate_per_hour is None):
            raise ValueError(f"either at_s or rate_per_hour (found {self.at_s} and {self.rate_per_hour})")
        if self.what == "remote" and self.for_s is None:
            raise ValueError("for_s is missing: the remote store comes back")
        if self.once and self.for_s is not None:
            raise ValueError(f"once is one load, whenever it comes, without for_s (found {self.for_s})")
        return self

    def __str__(self) -> str:
        """Such as "gpu 3 at 600 s for 60 s" or "worker 2 an hour"."""
        which = next((f" {found}" for found in (self.gpu, self.node, self.function) if found is not None), "")
        when = f"{self.rate_per_hour:g} an hour" if self.at_s is None else f"at {self.at_s:g} s"
        during = f" in a {self.during}" if self.during else ""
        factor = f" at {self.factor:g} of its rate" if self.factor else ""
        ends = " once" if self.once else f" for {self.for_s:g} s" if self.for_s is not None else ""
        return f"{self.what}{which} {when}{during}{factor}{ends}"

    def check(self, cluster: ClusterConfig, functions: Collection[str]) -> None:
        """Raises :class:`ConfigError` if it names a machine or a function that does not exist."""
        nodes = sum(group.nodes for group in cluster.groups)
        for key, title, found, count in (("gpu", "GPU", self.gpu, cluster.gpus), ("node", "node", self.node, nodes)):
            if found is not None and found >= count:
                raise ConfigError(f"{key}: the cluster has {title}s 0 to {count - 1} (found {found})")
        if self.function is not None and self.function not in functions:
            raise unknown_name("function", self.function, functions)
