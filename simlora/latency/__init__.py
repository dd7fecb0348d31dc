"""Calibrated latencies: kernels of a GPU, an engine's host time and start-up, loaders, contention."""

from simlora.latency.contention import CONTENTION, Contention, GpuShare, TimeSlice
from simlora.latency.engines import EngineProfile, Stage, list_engines, load_engine
from simlora.latency.hardware import Gpu, NodeType, hardware, load_gpu, load_node_type
from simlora.latency.loaders import Loader, LoadPath, load_loader, loaders
from simlora.latency.models import list_backbones, load_backbone
from simlora.latency.profile import Part, Profile, list_profiles, load_profile
from simlora.latency.sources import Label, Sourced
from simlora.latency.steps import ModelLatency
from simlora.latency.ttft import fit_ttft_line

__all__ = [
    "CONTENTION",
    "Contention",
    "EngineProfile",
    "Gpu",
    "GpuShare",
    "Label",
    "LoadPath",
    "Loader",
    "ModelLatency",
    "NodeType",
    "Part",
    "Profile",
    "Sourced",
    "Stage",
    "TimeSlice",
    "fit_ttft_line",
    "hardware",
    "list_backbones",
    "list_engines",
    "list_profiles",
    "load_backbone",
    "load_engine",
    "load_gpu",
    "load_loader",
    "load_node_type",
    "load_profile",
    "loaders",
]
