"""Steps of a model whose parts run one after the other, on GPUs of several nodes."""

from __future__ import annotations

from collections.abc import Sequence

from simlora.backends.segments import StepModel


class InParts:
    """What the steps take on one GPU, and the way between the parts: implements ``StepModel``.

    Nothing is gained by the several GPUs, for a batch is with one of them at a time.
    """

    __slots__ = ("_hops_s", "_whole", "assist_s", "switch_s")

    def __init__(self, whole: StepModel, hops_s: float):
        self._whole = whole
        self._hops_s = hops_s
        self.assist_s = whole.assist_s
        self.switch_s = whole.switch_s

    def prefill_load(self, prompt_tokens: Sequence[int]) -> tuple[int, float]:
        return self._whole.prefill_load(prompt_tokens)

    def prefill_step_s(
        self,
        new_tokens: int,
        new_tokens_sq: float,
        prefill_requests: int,
        decode_batch: int,
        decode_context_tokens: int,
        adapters: int,
        rank: int,
    ) -> float:
        decoding = decode_batch, decode_context_tokens, adapters, rank
        return self._whole.prefill_step_s(new_tokens, new_tokens_sq, prefill_requests, *decoding) + self._hops_s

    def decode_line(self, batch: int, adapters: int, rank: int) -> tuple[float, float]:
        step_s, context_s = self._whole.decode_line(batch, adapters, rank)
        return step_s + self._hops_s, context_s

    def span_s(self, line: tuple[float, float], context_tokens: int, batch: int, steps: int) -> float:
        return self._whole.span_s(line, context_tokens, batch, steps)

    def steps_within(self, line: tuple[float, float], context_tokens: int, batch: int, seconds: float) -> int:
        return self._whole.steps_within(line, context_tokens, batch, seconds)

    def host_s(self, batch: int, adapters: int = 0) -> float:
        return self._whole.host_s(batch, adapters) + self._hops_s

    def prefill_host_s(self, requests: int) -> float:
        return self._whole.prefill_host_s(requests)
