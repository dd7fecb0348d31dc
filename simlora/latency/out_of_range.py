"""What is asked of a latency model beyond what was measured: told once, counted always."""

from __future__ import annotations

import warnings


class BeyondMeasured(UserWarning):
    """A step of ``model`` that is larger than any that was measured."""

    def __init__(self, model: str, step: str):
        super().__init__(f"{model}: {step}")
        self.model = model


class OutOfRange:
    """Calls that asked beyond the measured range, by part; each part warns once."""

    __slots__ = ("decode", "prefill", "where")

    def __init__(self, where: str):
        self.where = where
        self.prefill = 0
        self.decode = 0

    def tick_prefill(self, tokens: int, limit: int) -> None:
        if not self.prefill:
            self._warn(f"prefill of {tokens} tokens, measured up to {limit}")
        self.prefill += 1

    def tick_decode(self, what: str, value: int, limit: int) -> None:
        if not self.decode:
            self._warn(f"decode with {what} {value}, measured up to {limit}")
        self.decode += 1

    def _warn(self, step: str) -> None:
        warnings.warn(BeyondMeasured(self.where, step), stacklevel=4)
