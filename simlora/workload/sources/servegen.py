"""ServeGen: every function of the table has the rates and the variability of a real client of a model service."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import numpy as np
from pydantic import Field

from simlora.errors import TraceError, did_you_mean
from simlora.workload.readers.servegen import FILES, WINDOW_S, ClientWindow, read_clients
from simlora.workload.sources.base import Arrivals, SourceOptions, Window, need_data
from simlora.workload.synthetic import Gaps, renewal_arrivals
from simlora.workload.workload import Floats, stream


class ServeGen(SourceOptions):
    """``start_s``: where in the two weeks the run begins. ``clients`` names one per function ("12") in place of the
    draw by seed among those that send anything in the run.

    In each window of ten minutes a client is a renewal process with gaps of the fitted kind and shape, scaled to the
    window's mean rate, which starts anew in equilibrium. ``rate_scale`` multiplies the rates.
    """

    model: Literal["m-large", "m-small"]
    start_s: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    clients: tuple[str, ...] | None = None

    def requests(self, window: Window) -> Arrivals:
        """Raises :class:`TraceError` if too few clients are active, or for a client that isn't there."""
        known = read_clients(need_data(window, f"servegen/{self.model}", FILES[self.model]))
        first = int(self.start_s // WINDOW_S)
        last = math.ceil((self.start_s + window.duration_s) / WINDOW_S)
        chosen = self._named(known, window) or self._drawn(known, window, first, last)
        arrivals = [self._arrivals(known[name], range(first, last), window, row) for row, name in enumerate(chosen)]
        origin = f"model: ServeGen {self.model} from {self.start_s:g} s, clients {' '.join(chosen)}"
        return Arrivals(arrivals, f"{origin}, rate scale {window.rate_scale:g}")

    def _named(self, known: Mapping[str, object], window: Window) -> list[str] | None:
        for name in self.clients or ():
            if name not in known:
                raise TraceError(f'trace "servegen/{self.model}": no client "{name}"{did_you_mean(name, known)}')
        if self.clients is not None and len(self.clients) != len(window.functions):
            raise TraceError(
                f'trace "servegen/{self.model}": key "clients": found {len(self.clients)}; allowed: one per function '
                f"({len(window.functions)})"
            )
        return list(self.clients) if self.clients else None

    def _drawn(
        self, known: Mapping[str, Mapping[int, ClientWindow]], window: Window, first: int, last: int
    ) -> list[str]:
        active = [name for name, windows in known.items() if any(first <= number < last for number in windows)]
        wanted = len(window.functions)
        if len(active) < wanted:
            raise TraceError(
                f'trace "servegen/{self.model}": found {wanted} functions; allowed: up to {len(active)}, the clients '
                "that send anything in the run"
            )
        return [active[place] for place in stream(window.seed, "clients").permutation(len(active))[:wanted]]

    def _arrivals(self, windows: Mapping[int, ClientWindow], numbers: range, window: Window, row: int) -> Floats:
        rng = stream(window.seed, "arrivals", row)
        parts = [np.empty(0)]
        for number in numbers:
            if (there := windows.get(number)) is not None and there.rate_per_s > 0:
                rate = there.rate_per_s * window.rate_scale
                gaps = Gaps.of_rate(there.gaps, there.shape, rate)
                parts.append(number * WINDOW_S + renewal_arrivals(rng, WINDOW_S, rate, gaps))
        arrived_s = np.concatenate(parts) - self.start_s
        return arrived_s[arrived_s >= 0]
