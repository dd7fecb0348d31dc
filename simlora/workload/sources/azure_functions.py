"""Azure Functions 2019: real 4-hour segments, replicas from the model of their class, and a whole day."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from simlora.errors import TraceError
from simlora.workload.models.pattern import load_pattern_model, model_path
from simlora.workload.readers.azure_functions import CUTS, read_minute_counts
from simlora.workload.segments import SEGMENT_MINUTES, check_ids, draw_ids, eligible_segments
from simlora.workload.sources.base import Arrivals, SpreadOptions, Window, need_data
from simlora.workload.workload import stream


class SegmentOptions(SpreadOptions):
    """Keys of both: ``segments`` names one per function ("v000123@480") in place of the draw by seed."""

    pattern: Literal["predictable", "normal", "bursty"]
    segments: tuple[str, ...] | None = None

    def named(self, ids: Sequence[str], name: str, window: Window) -> list[str] | None:
        """The segments that the file names, one per function, if it does."""
        if self.segments is None:
            return None
        check_ids(self.segments, ids, len(window.functions), f'trace "{name}"')
        return list(self.segments)


class RealSegments(SegmentOptions):
    """The paper's selection. ``cut``: "day" (635 functions' whole day; the larger choice) or "8h" (369 functions)."""

    cut: Literal["day", "8h"] = "day"

    def requests(self, window: Window) -> Arrivals:
        """Segments as they are, cut to the window; raises :class:`TraceError` if it is longer than they are."""
        name = f"azure-functions-2019/{self.pattern}"
        model = f'"model/azure-2019-{self.pattern}"'
        if window.duration_s > SEGMENT_MINUTES * 60:
            raise TraceError(
                f'trace "{name}": found duration_s = {window.duration_s:g}; allowed: up to {SEGMENT_MINUTES * 60}, the '
                f"length of a segment ({model} has no end)"
            )
        found = eligible_segments(need_data(window, name, ""), self.pattern, self.cut)
        segments = {segment.id: segment for segment in found}
        ids, where = list(segments), f'trace "{name}"'
        chosen = self.named(ids, name, window) or draw_ids(
            ids, len(window.functions), stream(window.seed, "segments"), where
        )
        counts = [segments[name].counts[: math.ceil(window.duration_s / 60)] for name in chosen]
        origin = f"real: Azure Functions 2019 ({self.cut} set), {len(chosen)} {self.pattern} segments"
        return Arrivals(self.spread(counts, 60.0, window), f"{origin} {' '.join(chosen)}, spread: {self.spreader}")


class ModelSegments(SegmentOptions):
    """Replicas of fitted segments, one per function, drawn with replacement: popularity is as among real functions."""

    def requests(self, window: Window) -> Arrivals:
        """Replicas of the window's length."""
        model = load_pattern_model(model_path(self.pattern))
        name = f"model/azure-2019-{self.pattern}"
        ids = list(model.segments)
        chosen = self.named(ids, name, window) or [
            ids[int(stream(window.seed, "segments", row).integers(len(ids)))] for row in range(len(window.functions))
        ]
        minutes = math.ceil(window.duration_s / 60)
        counts = [
            model.sample(segment, stream(window.seed, "replica", row), minutes) for row, segment in enumerate(chosen)
        ]
        origin = f"model: {name} (fitted on Azure Functions 2019, day set), replicas of {' '.join(chosen)}"
        return Arrivals(self.spread(counts, 60.0, window), f"{origin}, spread: {self.spreader}")


class WholeDay(SpreadOptions):
    """The function of row r is the r-th of the file, from the least to the most popular."""

    def requests(self, window: Window) -> Arrivals:
        """Minutes of the day from midnight; raises :class:`TraceError` for more functions or minutes than there are."""
        name, cut = "azure-functions-2019/day", CUTS["day"]
        counts = list(read_minute_counts(need_data(window, name, cut.file), cut).values())
        for key, found, most in (
            ("functions", len(window.functions), len(counts)),
            ("duration_s", window.duration_s, 60 * len(cut.minutes)),
        ):
            if found > most:
                raise TraceError(f'trace "{name}": found {key} = {found:g}; allowed: up to {most}, as many as it holds')
        minutes = math.ceil(window.duration_s / 60)
        own = [row[:minutes] for row in counts[: len(window.functions)]]
        origin = f"real: Azure Functions 2019 (day set), the first {len(own)} functions"
        return Arrivals(self.spread(own, 60.0, window), f"{origin}, spread: {self.spreader}")
