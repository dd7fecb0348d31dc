"""Fitted kernel times of one GPU: few coefficients, each form monotone in all its arguments.

Units: seconds, bytes, tokens; one layer unless said otherwise. Matrix products are C[m, n] = A[m, k] B[k, n] in 16 bit.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from simlora.latency.hardware import Gpu
from simlora.latency.sources import Sourced

Coefficient = Annotated[float, Field(ge=0)]


class Residual(BaseModel):
    """Relative errors (predicted / measured - 1) on points held out of the fit, whose size is at most ``upto``.

    Classes of size are a factor of four apart; sizes are tokens (rows of a product, tokens of the prompts, sum of
    contexts), bytes of messages and of elementwise kernels.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    of: str = Field(description="which points were held out")
    upto: int = Field(gt=0)
    points: int = Field(gt=0)
    p10: float
    p50: float
    p90: float


class Fitted(Sourced):
    """What was fitted, and how far off it was by size."""

    residuals: tuple[Residual, ...] = ()


class PiecewiseLinear(Sourced):
    """A non-decreasing piecewise linear function through (knot, value), continued with its last slope."""

    knots: tuple[Coefficient, ...] = Field(min_length=2)
    values: tuple[Coefficient, ...] = Field(min_length=2)

    @model_validator(mode="after")
    def _increasing(self) -> PiecewiseLinear:
        if len(self.knots) != len(self.values):
            raise ValueError("knots and values must have the same length")
        if any(a >= b for a, b in zip(self.knots, self.knots[1:], strict=False)):
            raise ValueError("knots must increase")
        if any(a > b for a, b in zip(self.values, self.values[1:], strict=False)):
            raise ValueError("values must not decrease")
        return self


class LinearKernels(Fitted, PiecewiseLinear):
    """One matrix product: launch_s + depth_s k + n k w(m) + row_s m (n + k).

    w(m) through (knots = m, values = s per weight) is the roofline: flat while reading the weights
    bounds it, rising with m once arithmetic does. However few tiles there are, each runs through the whole depth k.
    """

    launch_s: Coefficient
    depth_s: Coefficient
    row_s: Coefficient


class PrefillAttention(Fitted, PiecewiseLinear):
    """Causal attention over new tokens: w(bytes of q, k, v and output) + pair_s heads sum(n (n + 2 past)).

    w steps up where the operands leave the last-level cache.
    """

    pair_s: Coefficient


class DecodeAttention(Fitted):
    """One new token per sequence: launch_s + (K and V of the contexts and of sequence_tokens each) / bytes_per_s.

    sequence_tokens stands for the reads beyond a context's own: queries, whole pages, partial sums.
    """

    launch_s: Coefficient
    sequence_tokens: Coefficient
    bytes_per_s: float = Field(gt=0)
    max_context_tokens: int = Field(gt=0, description="largest measured sum of contexts of a batch")


class LoraKernels(Fitted):
    """Shrink and expand of one unmerged adapter on one projection d_in -> d_out:

    2 launch_s + rank (d_in + d_out) (weight_s + product_s m) + row_s m (d_in + d_out).
    """

    launch_s: Coefficient
    weight_s: Coefficient
    product_s: Coefficient
    row_s: Coefficient


class ElementwiseKernels(Fitted):
    """Norms, rotary embedding, activation: launch_s each, then bytes moved over bytes_per_s."""

    launch_s: Coefficient
    bytes_per_s: float = Field(gt=0)


class AllReduce(Fitted):
    """Sum of a message over n GPUs of a node: w_n(bytes) through (knots, row of values for each n of ``gpus``).

    Numbers of GPUs between those measured lie on the line between the nearest two.
    """

    gpus: tuple[int, ...] = Field(min_length=1)
    knots: tuple[Coefficient, ...] = Field(min_length=2)
    values: tuple[tuple[Coefficient, ...], ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _a_function_for_each_number(self) -> AllReduce:
        if len(self.gpus) != len(self.values) or any(a >= b for a, b in pairwise(self.gpus)):
            raise ValueError("gpus must increase, with one row of values each")
        for row in self.values:
            PiecewiseLinear(knots=self.knots, values=row, label=self.label, source=self.source, valid=self.valid)
        return self

    def over(self, gpus: int) -> tuple[float, ...]:
        """Seconds at the knots for so many GPUs; beyond those measured as for the nearest number."""
        above = min(bisect_left(self.gpus, gpus), len(self.gpus) - 1)
        below = max(above - (self.gpus[above] > gpus), 0)
        if above == below:
            return self.values[above]
        share = (gpus - self.gpus[below]) / (self.gpus[above] - self.gpus[below])
        pairs = zip(self.values[below], self.values[above], strict=True)
        return tuple(low + share * (high - low) for low, high in pairs)


class KernelProfile(Sourced):
    """All kernels of one GPU."""

    schema_version: int = Field(ge=1, le=1)
    name: str
    gpu: str = Field(description="a GPU of the hardware catalogue, unless ``device`` describes it")
    device: Gpu | None = Field(default=None, description="the card that was measured")
    max_prefill_tokens: int = Field(gt=0)
    max_batch: int = Field(gt=0)
    linear: LinearKernels
    prefill_attention: PrefillAttention
    decode_attention: DecodeAttention
    lora: LoraKernels
    elementwise: ElementwiseKernels
    all_reduce: AllReduce | None = Field(default=None, description="for backbones over several GPUs")
