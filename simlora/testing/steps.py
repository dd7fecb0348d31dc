"""An engine clock whose every step takes the same time, for timelines that can be worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence


class ConstantSteps:
    """Steps of ``step_s`` seconds whatever the batch, the first ``prefill_s``; implements the back-end's ``StepModel``.

    ``host_part_s``: host seconds in each step, in which its GPU is idle; ``lora_s``: what unmerged adapters add to a
    decode step; ``switch_s``: what merging one takes, or taking it out; ``assist_s``: what the host's help
    adds to a step.
    """

    def __init__(
        self,
        step_s: float,
        prefill_s: float | None = None,
        host_part_s: float = 0.0,
        lora_s: float = 0.0,
        switch_s: float = 0.0,
        assist_s: float = 0.0,
    ):
        self.step_s = step_s
        self.prefill_s = step_s if prefill_s is None else prefill_s
        self.host_part_s = host_part_s
        self.lora_s = lora_s
        self.switch_s = switch_s
        self.assist_s = assist_s

    def prefill_load(self, prompt_tokens: Sequence[int]) -> tuple[int, float]:
        """All tokens, unpadded, and the sum of their squares."""
        return sum(prompt_tokens), float(sum(n * n for n in prompt_tokens))

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
        """``prefill_s``."""
        return self.prefill_s

    def decode_line(self, batch: int, adapters: int, rank: int) -> tuple[float, float]:
        """A step costs ``step_s``, with unmerged adapters ``lora_s`` more, and nothing per token of context."""
        return self.step_s + (self.lora_s if adapters else 0.0), 0.0

    def span_s(self, line: tuple[float, float], context_tokens: int, batch: int, steps: int) -> float:
        """``steps`` times a step."""
        return steps * line[0]

    def steps_within(self, line: tuple[float, float], context_tokens: int, batch: int, seconds: float) -> int:
        """The largest k with ``span_s`` of k <= ``seconds``, in its very arithmetic."""
        steps = max(0, int(seconds / line[0]))
        while steps and steps * line[0] > seconds:
            steps -= 1
        while (steps + 1) * line[0] <= seconds:
            steps += 1
        return steps

    def host_s(self, batch: int, adapters: int = 0) -> float:
        """``host_part_s``."""
        return self.host_part_s

    def prefill_host_s(self, requests: int) -> float:
        """None beyond that of any step."""
        return 0.0
