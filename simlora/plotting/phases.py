"""The colours of a request's phases: waits are grey, start-up stages run from yellow to blue, compute is red."""

from __future__ import annotations

import matplotlib as mpl
import pandas as pd

from simlora.results.breakdown import DECODE, INSTANCE_WAIT, LOST, PREFILL, QUEUE, START_UP, START_UP_WAIT, in_order

FIXED = {
    QUEUE: ("#D0D0D0", ""),
    LOST: ("#FFFFFF", "xxxx"),
    START_UP_WAIT: ("#9A9A9A", "////"),
    INSTANCE_WAIT: ("#6E6E6E", ""),
    PREFILL: ("#F4A582", ""),
    DECODE: ("#B2182B", ""),
}
OTHER = f"{START_UP}other"
SLIVER = 1 / 50
NOTHING_S = 1e-9
"""What rounding leaves of a phase that did not occur."""


def phase_styles(phases: list[str]) -> dict[str, tuple[str, str]]:
    """Colour and hatch of each phase; start-up stages get lighter to darker in the order they happen."""
    stages = [phase for phase in phases if phase not in FIXED]
    shades = mpl.colormaps["YlGnBu"]
    spread = max(len(stages) - 1, 1)
    colors = {name: (mpl.colors.to_hex(shades(0.2 + 0.75 * i / spread)), "") for i, name in enumerate(stages)}
    return {phase: FIXED.get(phase) or colors[phase] for phase in phases}


def without_noise(means: pd.DataFrame) -> pd.DataFrame:
    """Seconds per phase, with 0 where only rounding is left of a phase that did not occur."""
    return means.mask(means.abs() <= NOTHING_S, 0.0)


def without_slivers(means: pd.DataFrame, longest_s: float) -> pd.DataFrame:
    """Start-up stages too thin to be seen become one, phases that did not occur go; a bar stays as long as it was."""
    stages = [phase for phase in means.columns if phase not in FIXED]
    thin = [phase for phase in stages if means[phase].max() < SLIVER * longest_s]
    if len(thin) > 1:
        means = means.assign(**{OTHER: means[thin].sum(axis=1)}).drop(columns=thin)
        means = means[in_order(map(str, means.columns))]
    return means[[name for name in means.columns if name == DECODE or (means[name] != 0).any()]]
