"""Two LSTM layers and a linear one, in numpy: from counts of minutes to the chance of a call in the next."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

WEIGHTS = Path(__file__).parent / "lstm.npz"
AT_ONCE = 16
"""Windows of one matrix product: larger ones wake BLAS's threads, who wait for one another longer than they compute."""
Floats = np.ndarray[Any, np.dtype[np.float64]]


class Network:
    """``arrays``: ``minutes``, of each layer ``w_in_l0``, ``w_state_l0`` and ``bias_l0``, then ``w_out``, ``b_out``."""

    def __init__(self, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
        names = [[f"{name}_l{layer}" for name in ("w_in", "w_state", "bias")] for layer in (0, 1)]
        self.minutes = int(arrays["minutes"])
        self._layers = [[arrays[name].astype(np.float64) for name in layer] for layer in names]
        self._out, self._bias = (arrays[name].astype(np.float64) for name in ("w_out", "b_out"))

    def chances(self, windows: Sequence[Sequence[int]]) -> list[float]:
        """Of each window of ``minutes`` counts, the oldest first.

        To six digits: how a matrix product is summed up depends on how many windows there are, the answer must not.
        """
        chances: list[float] = []
        for first in range(0, len(windows), AT_ONCE):
            chances += self._some(windows[first : first + AT_ONCE])
        return chances

    def _some(self, windows: Sequence[Sequence[int]]) -> list[float]:
        steps = np.log1p(np.asarray(windows, np.float64)).T[:, :, None]
        for w_in, w_state, bias in self._layers:
            steps = _lstm(steps, w_in, w_state, bias)
        logits = steps[-1] @ self._out + self._bias
        return [round(1 / (1 + math.exp(-logit)), 6) for logit in logits.tolist()]


def _lstm(steps: Floats, w_in: Floats, w_state: Floats, bias: Floats) -> Floats:
    """One layer over all steps; gates in the order input, forget, cell, output."""
    size = w_state.shape[0]
    hidden = cell = np.zeros((steps.shape[1], size))
    out = []
    for step in steps:
        gates = step @ w_in + hidden @ w_state + bias
        enter, forget, leave = (_sigmoid(gates[:, part * size : (part + 1) * size]) for part in (0, 1, 3))
        cell = forget * cell + enter * np.tanh(gates[:, 2 * size : 3 * size])
        hidden = leave * np.tanh(cell)
        out.append(hidden)
    return np.stack(out)


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-x)))


@cache
def shipped() -> Network:
    """The one trained by ``python -m calibrate.arrivals_lstm``; on what and how well it does is stored beside it."""
    with np.load(WEIGHTS) as stored:
        return Network(stored)
