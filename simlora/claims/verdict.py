"""The rule by which a claim is judged, the same for all; nothing else decides a verdict.

The paper has one draw of traffic of each class. Ours are as many as there are seeds, and a figure is that of the draw
in the middle: the median over seeds, with its 95 % bootstrap interval; a ratio is taken draw by draw, so that it is
paired. Where the paper says "up to" or "at most" over several scenarios, the one with the largest median counts.

* **reproduced**: the figure is within the claim's tolerance of the published one (for "at most": not above it; for
  "more than", which is a direction without a figure: above it), and, where systems are compared, the direction holds.
  Of a ratio the whole interval must be within, so that it does not hang on the seeds. Traffic does not cancel out of
  a figure of one system, and the paper's draw is not known; so there every draw must be within.
* **direction only**: not that, but the interval of the ratio excludes 1 on the side that the paper says.
* **not reproduced**: neither.

A claim without a published value, or that no simulation can tell of, is shown with what the file says of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from simlora.claims.claim import COMPARED, PAIRED, Claim
from simlora.claims.measures import draws
from simlora.results.load import Results
from simlora.results.statistics import Interval, median_interval
from simlora.results.tables import Floats

REPRODUCED, DIRECTION, NOT = "reproduced", "direction only", "not reproduced"
UNPUBLISHED = "no figure published"
VERDICTS = (REPRODUCED, DIRECTION, NOT, UNPUBLISHED)


class Judged(NamedTuple):
    """A claim with what was found, in the claim's unit; ``scenario``: that which counts."""

    claim: Claim
    verdict: str
    found: Interval | None = None
    scenario: str = ""


class Draws(NamedTuple):
    """Of each seed the figure in the claim's unit, and ``of`` / ``over`` where two systems are compared."""

    figure: Floats
    ratio: Floats | None


def judge(claim: Claim, results: Results, point: str = "base") -> Judged:
    """Find the claim's figure in these results and apply the rule."""
    scenarios = claim.scenarios or tuple(dict.fromkeys(cell.scenario for cell in results.cells))
    return judged(claim, {scenario: draws_of(claim, results, scenario, point) for scenario in scenarios})


def draws_of(claim: Claim, results: Results, scenario: str, point: str = "base") -> Draws:
    """The claim's figure in each seed's run of a scenario."""
    of = draws(results, claim.metric, claim.of, scenario, point)
    if claim.form not in COMPARED:
        return Draws(np.asarray(of, float) * claim.scale, None)
    over = draws(results, claim.metric, claim.over, scenario, point)
    seeds = of.index.intersection(over.index)
    value = np.asarray(of[seeds], float)
    ratio = value / np.asarray(over[seeds], float)
    figure = {"ratio": ratio, "less": 1.0 - ratio, "more": ratio - 1.0}.get(claim.form, value)
    return Draws(figure * claim.scale, ratio)


def judged(claim: Claim, found: Mapping[str, Draws]) -> Judged:
    """The rule of this module, given the draws of each scenario."""
    scenario = max(found, key=lambda name: float(np.median(found[name].figure)))
    figure, ratio = found[scenario]
    interval = median_interval(figure)
    if claim.paper is None:
        return Judged(claim, UNPUBLISHED, interval, scenario)
    if ratio is not None and not _right_side(claim, median_interval(np.log(ratio))):
        return Judged(claim, NOT, interval, scenario)
    ends = interval[1:3] if claim.form in PAIRED and interval.n > 1 else (float(figure.min()), float(figure.max()))
    if all(_same(claim, end) for end in ends):
        return Judged(claim, REPRODUCED, interval, scenario)
    return Judged(claim, NOT if ratio is None else DIRECTION, interval, scenario)


def _same(claim: Claim, figure: float) -> bool:
    assert claim.paper is not None
    assert claim.tolerance is not None
    if claim.says == "more than":
        return figure > claim.paper
    margin = claim.tolerance * abs(claim.paper)
    return figure <= claim.paper + margin and (claim.says == "at most" or figure >= claim.paper - margin)


def _right_side(claim: Claim, log_ratio: Interval) -> bool:
    """Whether ``of`` differs from ``over``, and as the paper says."""
    assert claim.paper is not None
    larger = claim.paper > 1 or claim.says == "more than"
    more = {"above": True, "below": False, "ratio": larger, "less": claim.paper < 0, "more": claim.paper > 0}
    return log_ratio.excludes(0.0) and (log_ratio.estimate > 0) is more[claim.form]
