"""Figures from results: one colour per system everywhere, units on every axis, the data beside each picture."""

from simlora.plotting.bars import bars, cost_bars
from simlora.plotting.breakdown import breakdown_bars
from simlora.plotting.curves import memory_over_time, ttft_cdf
from simlora.plotting.grid import plot
from simlora.plotting.style import Picture, Style, styles

__all__ = [
    "Picture",
    "Style",
    "bars",
    "breakdown_bars",
    "cost_bars",
    "memory_over_time",
    "plot",
    "styles",
    "ttft_cdf",
]
