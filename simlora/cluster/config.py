"""The cluster of an experiment: how many nodes and GPUs, on which kinds of hosts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from simlora.errors import ConfigError
from simlora.latency.hardware import load_node_type


class Nodes(BaseModel):
    """Nodes that are alike."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    nodes: int = Field(default=4, ge=1, le=10_000, strict=True)
    gpus_per_node: int = Field(default=4, ge=1, le=64, strict=True)
    node_type: str = Field(default="g6e.24xlarge", description="host memory, storage and network of a node")

    @field_validator("node_type")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            load_node_type(value)
        except ConfigError as error:
            raise ValueError(error) from None
        return value


ALIKE = tuple(Nodes.model_fields)
"""The keys of the short form, in which all nodes are alike."""


class Group(Nodes):
    """``[[cluster.group]]``: nodes of one kind. Without a ``profile`` its GPUs are those of the experiment's."""

    profile: str | None = Field(default=None, description="latency profile of its GPUs")


class ClusterConfig(Nodes):
    """``[cluster]`` of an experiment file: nodes that are all alike, or groups of them, the GPUs numbered in order."""

    group: tuple[Group, ...] = Field(default=(), description="nodes of several kinds, in place of the three keys above")
    contention: Literal["time-slice", "gpu-share"] = Field(
        default="gpu-share", description="what processes that compute on one GPU at once cost each other"
    )
    checkpoints: Literal["ssd", "remote"] = Field(
        default="ssd", description="where checkpoints and adapters are before the first load"
    )
    model_draw: int = Field(
        default=0, ge=0, description="which draw of the errors of the latency profiles; 0: as they were fitted"
    )

    @model_validator(mode="before")
    @classmethod
    def _one_form(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and values.get("group"):
            for key in ALIKE:
                if key in values:
                    raise ValueError(f"{key} goes with nodes that are all alike; here each group states its own")
        return values

    @model_serializer(mode="wrap")
    def _in_one_form(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = whole(self)
        return {key: value for key, value in values.items() if key not in (ALIKE if self.group else ("group",))}

    @property
    def groups(self) -> tuple[Group, ...]:
        """Its nodes by kind; one group where all are alike."""
        alike = Group(nodes=self.nodes, gpus_per_node=self.gpus_per_node, node_type=self.node_type)
        return self.group or (alike,)

    @property
    def gpus(self) -> int:
        """GPUs of the whole cluster."""
        return sum(group.nodes * group.gpus_per_node for group in self.groups)

    def overlaid(self, keys: Mapping[str, Any]) -> dict[str, Any]:
        """Its keys with these put over them; those of one form replace those of the other."""
        own = self.model_dump()
        if "group" in keys:
            own = {key: value for key, value in own.items() if key not in ALIKE}
        elif any(key in keys for key in ALIKE):
            own.pop("group", None)
        return {**own, **keys}

    def with_profiles(self, found: Callable[[str], str]) -> ClusterConfig:
        """The same with the names of its groups' profiles put through ``found``."""
        groups = [g if g.profile is None else g.model_copy(update={"profile": found(g.profile)}) for g in self.group]
        return self.model_copy(update={"group": tuple(groups)})
