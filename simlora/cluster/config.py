"""The cluster of an experiment: how many nodes and GPUs, on which kind of host."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from simlora.latency.hardware import hardware, load_node_type


class ClusterConfig(BaseModel):
    """``[cluster]`` of an experiment file. The GPUs are those of the experiment's profile."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    nodes: int = Field(default=4, ge=1, le=10_000, strict=True)
    gpus_per_node: int = Field(default=4, ge=1, le=64, strict=True)
    node_type: str = Field(default="g6e.24xlarge", description="host memory, storage and network of a node")
    contention: Literal["time-slice", "gpu-share"] = Field(
        default="gpu-share", description="what processes that compute on one GPU at once cost each other"
    )
    checkpoints: Literal["ssd", "remote"] = Field(
        default="ssd", description="where checkpoints and adapters are before the first load"
    )

    @field_validator("node_type")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in hardware().nodes:
            load_node_type(value)
        return value

    @property
    def gpus(self) -> int:
        """GPUs of the whole cluster."""
        return self.nodes * self.gpus_per_node
