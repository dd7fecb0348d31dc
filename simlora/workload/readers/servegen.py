"""ServeGen: rate and variability of each client of two models of Alibaba Cloud Model Studio, in windows of ten minutes.

Source: alibaba/ServeGen, ``data/language/<model>/chunk-<client>-trace.csv`` (Apache-2.0; Xiang et al., NSDI 2026):
fitted figures, no requests. Read from one table per model with columns ``client, window_start_s, rate_rps, iat_cv,
dist, p1, p2``: the client of the file name and the file's own columns; windows without requests left out.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

from simlora.workload.readers.table import Number, Text, batches

FILES = {model: f"traces/servegen/client_rates_{model}.csv.gz" for model in ("m-large", "m-small")}
WINDOW_S = 600.0
GAPS: dict[str, Literal["gamma", "weibull"]] = {"Gamma": "gamma", "Weibull": "weibull"}
LEAST_SHAPE = 0.001


class ClientWindow(NamedTuple):
    """A client's traffic in one window: mean rate, and kind and shape of its gaps."""

    rate_per_s: float
    gaps: Literal["gamma", "weibull"]
    shape: float


@lru_cache(maxsize=2)
def read_clients(path: Path) -> dict[str, dict[int, ClientWindow]]:
    """Windows by number of each client, in the file's order; raises :class:`TraceError`."""
    clients: dict[str, dict[int, ClientWindow]] = {}
    for batch in batches(path, ["client", "window_start_s", "rate_rps", "dist", "p1"]):
        starts_s, rates = batch.numbers("window_start_s", Number()), batch.numbers("rate_rps", Number())
        names, kinds = batch.names("client", Text("client")), batch.names("dist", Text("distribution", tuple(GAPS)))
        shapes = batch.numbers("p1", Number(least=LEAST_SHAPE))
        for row, (name, start_s) in enumerate(zip(names, starts_s.tolist(), strict=True)):
            window, rest_s = divmod(start_s, WINDOW_S)
            windows = clients.setdefault(name, {})
            if rest_s:
                batch.refuse(row, "window_start_s", f"allowed: multiples of {WINDOW_S:g}")
            if int(window) in windows:
                batch.refuse(row, "window_start_s", f"client {name} has that window already")
            windows[int(window)] = ClientWindow(float(rates[row]), GAPS[kinds[row]], float(shapes[row]))
    return clients
