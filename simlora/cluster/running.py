"""A request in the running batch of an instance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simlora.entities import QueuedRequest

if TYPE_CHECKING:
    from simlora.cluster.processes import Instance


class Running:
    """A request in a running batch: implements :class:`simlora.views.RunningRequest`.

    ``joined`` is its instance's count of decode steps when its prefill ended, ``paused`` the count since which it takes
    no part because another's adapter is merged.
    """

    __slots__ = ("_instance", "joined", "paused", "prefill_left", "request")

    def __init__(self, request: QueuedRequest, instance: Instance):
        self.request = request
        self._instance = instance
        self.prefill_left = request.prompt_tokens
        self.joined = 0
        self.paused: int | None = None

    @property
    def context_tokens(self) -> int:
        """Tokens of it that have been computed: the prompt, then one for each it has produced."""
        if self.prefill_left:
            return self.request.prompt_tokens - self.prefill_left
        return self.request.prompt_tokens + self.decoded + 1

    @property
    def decoded(self) -> int:
        """Decode steps since it was admitted, each of which put one token more into KV."""
        if self.prefill_left:
            return 0
        return (self._instance.decode_steps if self.paused is None else self.paused) - self.joined

    @property
    def produced(self) -> int:
        """Tokens produced since it was admitted."""
        return 0 if self.prefill_left else self.decoded + 1

    def __repr__(self) -> str:
        return f"<running {self.request.index}: {self.context_tokens} tokens>"
