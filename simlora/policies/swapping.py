"""Late binding: models wait in host memory and are swapped onto whichever GPU is free; what its policies share."""

from __future__ import annotations

from simlora.entities import Function
from simlora.policies.estimates import Estimates
from simlora.views import GpuView


def is_light(estimates: Estimates, function: Function, gpu: GpuView) -> bool:
    """Whether swapping the function in takes no longer than a warm request's first token (assumption for "light").

    Source: Torpor (ATC'25) calls a model light if a swap costs less than inference.
    """
    first_token_s, _ = estimates.ttft_line(function)
    return estimates.start_s(function, {}, gpu) <= first_token_s
