"""The machines of a cluster by kind: how many there are, and what their hosts and GPUs do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from simlora.cluster.config import ClusterConfig
from simlora.latency import Loader, NodeType, Part, Profile, load_profile
from simlora.latency.drawing import drawn_profile


@dataclass(frozen=True, eq=False)
class Machines:
    """Nodes of one kind. Kinds with the same GPUs have one profile."""

    nodes: int
    gpus_per_node: int
    node: NodeType
    profile: Profile

    @property
    def gpus(self) -> int:
        """All of theirs."""
        return self.nodes * self.gpus_per_node


def load_machines(config: ClusterConfig, profile: str, engine: str) -> tuple[Machines, ...]:
    """The kinds in the order of the cluster's GPUs; ``profile``: of those whose group names none.

    Raises :class:`ConfigError` for a profile, engine or node type that does not exist.
    """
    names = [group.profile or profile for group in config.groups]
    profiles = {name: drawn_profile(load_profile(name, engine), config.model_draw) for name in names}
    return tuple(
        Machines(group.nodes, group.gpus_per_node, group.machine, profiles[name])
        for group, name in zip(config.groups, names, strict=True)
    )


def of_each_gpu(machines: Sequence[Machines]) -> Iterator[Machines]:
    """For every GPU, in order, the kind of machine it is in."""
    return (kind for kind in machines for _ in range(kind.gpus))


def profiles_of(machines: Sequence[Machines]) -> list[Profile]:
    """The distinct profiles, the first machines' first."""
    return list(dict.fromkeys(kind.profile for kind in machines))


def parts_of(machines: Sequence[Machines], loader: str | Loader) -> list[Part]:
    """What all that runs on these machines rests on, each part once."""
    return list(dict.fromkeys(part for kind in machines for part in kind.profile.describe(loader, kind.node)))


def gpus_text(machines: Sequence[Machines]) -> str:
    """Such as "8 l40s + 4 h100-sxm"."""
    counts: dict[str, int] = {}
    for kind in machines:
        counts[kind.profile.kernels.gpu] = counts.get(kind.profile.kernels.gpu, 0) + kind.gpus
    return " + ".join(f"{count} {name}" for name, count in counts.items())
