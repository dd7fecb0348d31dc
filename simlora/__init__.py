"""simlora: a discrete-event testbed for serverless inference of LoRA-based LLMs."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simlora.cluster.config import ClusterConfig
    from simlora.engine import RunRecord, Simulation, simulate
    from simlora.entities import Function
    from simlora.latency import load_backbone, load_profile
    from simlora.results.load import load
    from simlora.study.run import run_experiment
    from simlora.systems import SystemConfig, load_system
    from simlora.workload import Workload, build_workload

__version__ = "0.1.0"

_HOMES = {
    "ClusterConfig": "simlora.cluster.config",
    "Function": "simlora.entities",
    "RunRecord": "simlora.engine",
    "Simulation": "simlora.engine",
    "SystemConfig": "simlora.systems",
    "Workload": "simlora.workload",
    "build_workload": "simlora.workload",
    "load": "simlora.results.load",
    "load_backbone": "simlora.latency",
    "load_profile": "simlora.latency",
    "load_system": "simlora.systems",
    "run_experiment": "simlora.study.run",
    "simulate": "simlora.engine",
}

__all__ = [
    "ClusterConfig",
    "Function",
    "RunRecord",
    "Simulation",
    "SystemConfig",
    "Workload",
    "build_workload",
    "load",
    "load_backbone",
    "load_profile",
    "load_system",
    "run_experiment",
    "simulate",
]


def __getattr__(name: str) -> Any:
    """The public names, each imported when first asked for, so that ``import simlora`` is cheap."""
    if name not in _HOMES:
        raise AttributeError(f"module 'simlora' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
