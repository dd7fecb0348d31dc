"""The cluster of an experiment: how many nodes and GPUs, on which kinds of hosts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

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
from simlora.latency.hardware import NodeType, load_node_type

Rate = Annotated[float | None, Field(gt=0, allow_inf_nan=False)]
"""Bytes a second."""


class Nodes(BaseModel):
    """Nodes that are alike."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    nodes: int = Field(default=4, ge=1, le=10_000, strict=True)
    gpus_per_node: int = Field(default=4, ge=1, le=64, strict=True)
    node_type: str = Field(default="g6e.24xlarge", description="host memory, storage and network of a node")
    host_bytes: int | None = Field(default=None, gt=0, strict=True, description="in place of the node type's")
    ssd_bytes_per_s: Rate = Field(default=None, description="of storage, in place of the node type's")
    nic_bytes_per_s: Rate = Field(default=None, description="of the network, in place of the node type's")
    remote_bytes_per_s: Rate = Field(default=None, description="from the remote store, in place of the node type's")

    @field_validator("node_type")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            load_node_type(value)
        except ConfigError as error:
            raise ValueError(error) from None
        return value

    @model_serializer(mode="wrap")
    def _as_stated(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = whole(self)
        return {key: value for key, value in values.items() if key not in OWN or value is not None}

    @property
    def machine(self) -> NodeType:
        """The node type, with the figures that are stated in place of its own."""
        own = {key: getattr(self, key) for key in OWN if getattr(self, key) is not None}
        return load_node_type(self.node_type).with_own(own)


ALIKE = tuple(Nodes.model_fields)
"""The keys of the short form, in which all nodes are alike."""
OWN = tuple(key for key in ALIKE if key in NodeType.model_fields)
"""The figures of a node type that can be stated in place of the catalogue's."""


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
    def _as_stated(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = whole(self)
        unsaid = ALIKE if self.group else ("group", *(key for key in OWN if values[key] is None))
        return {key: value for key, value in values.items() if key not in unsaid}

    @property
    def groups(self) -> tuple[Group, ...]:
        """Its nodes by kind; one group where all are alike."""
        return self.group or (Group(**{key: getattr(self, key) for key in ALIKE}),)

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
