"""Every held-out point of a shipped profile as one table: what was measured, fitted, and the roofline's bound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from calibrate.public_tables import TABLES, fit_profile
from calibrate.relative import Held
from calibrate.whole_steps import whole_steps
from simlora.latency.hardware import Gpu, load_gpu
from simlora.study.profiles import WHOLE


def held_out_points(calibration: Path, name: str) -> pd.DataFrame:
    """Columns part, held_out, size, measured_s, fitted_s and roofline_s, which is NaN where unknown.

    ``calibration``: the folder of public tables. Empty for a profile that is not fitted on them.
    """
    frames = [pd.DataFrame()]
    if name in TABLES:
        gpu = load_gpu(name)
        _, held_out = fit_profile(calibration / "aiconfigurator", name)
        held_out[WHOLE] = whole_steps(calibration, name)
        frames = [_frame(part, what, held, gpu) for part, one in held_out.items() for what, held in one.items()]
    return pd.concat(frames, ignore_index=True)


def _frame(part: str, what: str, held: Held, gpu: Gpu) -> pd.DataFrame:
    frame = pd.DataFrame({"part": part, "held_out": what, "size": held.size})
    frame["measured_s"], frame["fitted_s"] = held.seconds, held.predicted
    frame["roofline_s"] = np.nan
    if held.operations is not None and held.moved_bytes is not None:
        frame["roofline_s"] = np.maximum(held.operations / gpu.flops_per_s, held.moved_bytes / gpu.hbm_bytes_per_s)
    return frame
