"""How long functions stay uncalled, and what the hybrid histogram makes of it: when to load, and until when to keep."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simlora.entities import Backbone, Function


class Window(NamedTuple):
    """After a call: not wanted before ``load_s``, then kept to ``keep_s``; both are points in time."""

    load_s: float
    keep_s: float


@dataclass(slots=True)
class _History:
    """Of one function, or of all functions of a backbone."""

    counts: NDArray[np.int64]
    last_s: float
    recent_s: deque[float]
    beyond: int = 0


@dataclass
class IdleTimes:
    """The hybrid histogram's windows, for the two roles that act on them; both must be given the same keys.

    Gaps between calls are counted in ``bins`` bins of ``bin_s``. Load at the lower edge of the bin of the ``head``
    quantile less ``margin``, keep to the upper edge of that of the ``tail`` quantile plus ``margin``; a head in the
    first bin means that nothing is let go in between. With fewer than ``min_gaps`` gaps, or counts that differ too
    little over the bins (coefficient of variation below ``min_cv``), keep for the whole range. With half of the gaps or
    more beyond it, the next one is predicted: the mean of the last ``recent_gaps``, -+ ``predicted_margin``.

    Source: Serverless in the Wild (ATC'20): 1-minute bins over 4 hours, 5 % and 99 %, 10 %, 15 %, CV 2. From
    re-implementations (github.com/aFuerst/faascache-sim e1f3b84 and others): gaps run from call to call, two are
    enough, half beyond the range are too many. Assumption: the mean in place of the ARIMA model's prediction.
    """

    bin_s: float = 60.0
    bins: int = 240
    head: float = 0.05
    tail: float = 0.99
    margin: float = 0.1
    min_cv: float = 2.0
    min_gaps: int = 2
    predicted_margin: float = 0.15
    recent_gaps: int = 10
    _histories: dict[Function | Backbone, _History] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 < self.bin_s < math.inf or self.bins < 1:
            raise ValueError(
                f"bin_s must be a finite number, more than 0, bins at least 1 (found {self.bin_s} and {self.bins})"
            )
        if not 0 < self.head < self.tail <= 1:
            raise ValueError(f"0 < head < tail <= 1 must hold (found {self.head} and {self.tail})")
        for margin in (self.margin, self.predicted_margin):
            if not 0 <= margin < 1:
                raise ValueError(f"a margin must be at least 0 and less than 1 (found {margin})")
        if self.min_gaps < 1:
            raise ValueError(f"min_gaps must be at least 1 (found {self.min_gaps})")
        if self.recent_gaps < 1:
            raise ValueError(f"recent_gaps must be at least 1 (found {self.recent_gaps})")

    def observe_arrival(self, function: Function, at_s: float) -> None:
        for called in (function, function.backbone):
            history = self._histories.get(called)
            if history is None:
                self._histories[called] = _History(np.zeros(self.bins, np.int64), at_s, deque(maxlen=self.recent_gaps))
                continue
            gap_s, history.last_s = at_s - history.last_s, at_s
            history.recent_s.append(gap_s)
            if gap_s < self.bin_s * self.bins:
                history.counts[int(gap_s / self.bin_s)] += 1
            else:
                history.beyond += 1

    def window(self, called: Function | Backbone) -> Window | None:
        """Of the gap that began with the last call; ``None`` before the first."""
        history = self._histories.get(called)
        if history is None:
            return None
        load_s, keep_s = self._after(history)
        return Window(history.last_s + load_s, history.last_s + keep_s)

    def _after(self, history: _History) -> tuple[float, float]:
        counts, range_s = history.counts, self.bin_s * self.bins
        within = int(counts.sum())
        if within + history.beyond < self.min_gaps:
            return 0.0, range_s
        if history.beyond >= within:
            predicted_s = sum(history.recent_s) / len(history.recent_s)
            return predicted_s * (1 - self.predicted_margin), predicted_s * (1 + self.predicted_margin)
        if float(counts.std()) < self.min_cv * float(counts.mean()):
            return 0.0, range_s
        cumulative = np.cumsum(counts)
        first = int(np.searchsorted(cumulative, self.head * within))
        last = int(np.searchsorted(cumulative, self.tail * within))
        return first * self.bin_s * (1 - self.margin), (last + 1) * self.bin_s * (1 + self.margin)
