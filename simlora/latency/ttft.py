"""The linear model of time to first token against batch size that two-level batching plans with."""

from __future__ import annotations

from collections.abc import Sequence

from simlora.latency.steps import ModelLatency


def fit_ttft_line(
    model: ModelLatency, prompt_tokens: int = 128, rank: int = 16, batches: Sequence[int] = (1, 2, 4, 8)
) -> tuple[float, float]:
    """(T0_s, alpha_s): least squares of T0 + alpha (b - 1) on warm prefills of b equal prompts with one adapter.

    The ServerlessLoRA paper's offline profile; 128 tokens and batches 1, 2, 4, 8 are those of a re-implementation
    (SHUs-Lab/SwarmLoRA).
    """
    x = [batch - 1 for batch in batches]
    y = [model.prefill_s([prompt_tokens] * batch, [rank]) for batch in batches]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    alpha = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / sum((a - mean_x) ** 2 for a in x)
    return mean_y - alpha * mean_x, alpha
