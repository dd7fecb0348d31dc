"""GPUs and node types by name, each figure with its source (``hardware.toml``)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from simlora.errors import unknown_name
from simlora.latency.sources import Label, Sourced, read_toml

CATALOGUE = Path(__file__).with_name("hardware.toml")


class Gpu(Sourced):
    """One GPU: nominal figures of its data sheet, memory a process can use, and the copy rate of pinned memory."""

    title: str
    memory_bytes: int = Field(gt=0, description="nominal")
    usable_bytes: int = Field(gt=0, description="as the driver reports it")
    usable_source: str = Field(min_length=1)
    hbm_bytes_per_s: float = Field(gt=0)
    flops_per_s: float = Field(gt=0, description="dense bf16")
    pcie_bytes_per_s: float = Field(gt=0, description="pinned host memory to device, measured")
    pcie_source: str = Field(min_length=1)


class NodeType(Sourced):
    """One kind of machine."""

    title: str
    gpu: str
    gpus: int = Field(ge=1)
    vcpus: int = Field(ge=1)
    host_bytes: int = Field(gt=0)
    ssd_bytes_per_s: float = Field(gt=0)
    nic_bytes_per_s: float = Field(gt=0)
    remote_bytes_per_s: float = Field(gt=0, description="from the remote checkpoint store")
    switch_gpus: int = Field(default=1, ge=1, description="GPUs behind one PCIe switch, which share its one uplink")

    def with_own(self, own: Mapping[str, float]) -> NodeType:
        """The same with some figures replaced, which are then whoever's who stated them."""
        if not own:
            return self
        source = f"as stated in the experiment: {', '.join(own)}; else {self.source}"
        return self.model_copy(update={**own, "label": Label.ASSUMPTION, "source": source})


class Hardware(BaseModel):
    """The catalogue file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gpus: dict[str, Gpu]
    nodes: dict[str, NodeType]


@cache
def hardware() -> Hardware:
    """The shipped catalogue."""
    return read_toml(CATALOGUE, Hardware)


def load_gpu(name: str) -> Gpu:
    """A GPU of the catalogue; :class:`ConfigError` with the nearest name otherwise."""
    if name not in hardware().gpus:
        raise unknown_name("GPU", name, hardware().gpus)
    return hardware().gpus[name]


def load_node_type(name: str) -> NodeType:
    """A node type of the catalogue; :class:`ConfigError` with the nearest name otherwise."""
    if name not in hardware().nodes:
        raise unknown_name("node type", name, hardware().nodes)
    return hardware().nodes[name]
