"""Traffic: trace readers, spreading of counts, generators, fitted trace models, token lengths."""

from simlora.workload.build import build_workload
from simlora.workload.catalogue import TraceInfo, list_traces
from simlora.workload.describe import FunctionTraffic, describe
from simlora.workload.models.segment import SegmentModel, fit_segment
from simlora.workload.readers.requests import write_requests
from simlora.workload.segments import Segment, eligible_segments
from simlora.workload.variability import Variability, variability
from simlora.workload.workload import Workload

__all__ = [
    "FunctionTraffic",
    "Segment",
    "SegmentModel",
    "TraceInfo",
    "Variability",
    "Workload",
    "build_workload",
    "describe",
    "eligible_segments",
    "fit_segment",
    "list_traces",
    "variability",
    "write_requests",
]
