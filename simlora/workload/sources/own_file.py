"""A user's own CSV or Parquet file: requests, or counts per minute or hour, told apart by their columns."""

from __future__ import annotations

from dataclasses import replace

from simlora.workload.readers import counts, requests, table
from simlora.workload.readers.counts import BIN_S, Bin
from simlora.workload.sources.base import Arrivals, Requests, SpreadOptions, Window

SUFFIXES = (".csv", ".csv.gz", ".parquet")


class OwnFile(SpreadOptions):
    """``path`` from the experiment file's folder; ``every``: the bin of counts, "minute" or "hour".

    ``rate_scale`` scales counts; of requests it compresses time, which keeps the CoV.
    """

    path: str
    every: Bin = "minute"

    def requests(self, window: Window) -> Arrivals | Requests:
        """The file's requests with their tokens, or arrivals spread from its counts; raises :class:`TraceError`."""
        path = window.base_dir / self.path
        with table.readable(path):
            found = table.column_names(path)
        if "count" in found:
            binned = counts.read_counts(path, window.functions, self.every, window.duration_s)
            arrivals = self.spread(binned, BIN_S[self.every], window)
            return Arrivals(arrivals, f"file: {self.path}, counts per {self.every}, spread: {self.spreader}")
        read = requests.read_requests(path, window.functions)
        scaled = replace(read, arrived_s=read.arrived_s / window.rate_scale)
        return Requests(scaled, f"file: {self.path}, requests")
