"""Predictor: how many tokens a request will produce, as far as a scheduler may know before it has produced them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from simlora.entities import QueuedRequest
from simlora.policies.base import PolicyContext
from simlora.policies.foresight import Future
from simlora.policies.registry import register

RANGE = 1 << 53


@register("predictor", "max-new-tokens")
@dataclass
class MaxNewTokens:
    """As many as it may. Source: what a server knows for certain, and what S-LoRA's router (c1ddf48) counts on."""

    def output_tokens(self, request: QueuedRequest) -> int:
        return request.max_new_tokens


@register("predictor", "clairvoyant-length")
@dataclass
class ClairvoyantLength:
    """Right for a share ``accuracy`` of requests, drawn one by one; for the others any number up to the most, evenly.

    It stands for a model that reads the prompt, of which only its accuracy is published (Chameleon, MICRO'25: a BERT
    model, 80 %). Assumption: what it says when it is wrong. It has to be told the truth, so it counts as foreseeing.
    """

    accuracy: float = 0.8
    _future: Future = field(init=False, repr=False, compare=False)
    _key: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 0 <= self.accuracy <= 1:
            raise ValueError(f"accuracy must be from 0 to 1 (found {self.accuracy})")

    def bind(self, context: PolicyContext) -> None:
        self._key = context.rng.bytes(16)

    def foresee(self, future: Future) -> None:
        self._future = future

    def output_tokens(self, request: QueuedRequest) -> int:
        most = request.max_new_tokens
        digest = hashlib.blake2b(str(request.index).encode(), digest_size=16, key=self._key).digest()
        right, wrong = (int.from_bytes(part) >> 11 for part in (digest[:8], digest[8:]))
        if right < self.accuracy * RANGE:
            return max(1, min(most, self._future.output_tokens(request)))
        return 1 + wrong * most // RANGE
