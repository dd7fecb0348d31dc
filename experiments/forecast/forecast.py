"""The table and the figure of this experiment's README: ``python forecast.py RESULTS [README]``.

Ratios of means over the same seeds to those with the system's own forecast, 95 % intervals; ``*`` if the interval
leaves out 1.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from page import fill_in
from ratios import picture, report

DRAWN = ("TTFT", "E2E", "cost")

if __name__ == "__main__":
    fill_in(__doc__, lambda runs: report(runs.summary), lambda runs: picture(runs.summary, DRAWN, DRAWN), "forecast")
