"""The tables and the figure of this experiment's README: ``python worth.py RESULTS [README]``.

Ratios of means over the same seeds to those of the whole system, 95 % intervals; ``*`` if the interval leaves out 1.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from page import fill_in
from ratios import picture, report

DRAWN = ("TTFT", "TTFT p99", "cost")

if __name__ == "__main__":
    fill_in(__doc__, lambda runs: report(runs.summary), lambda runs: picture(runs.summary, DRAWN), "ablation")
