"""The running batch of a process: left-padded KV of its requests, which join and leave between steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch.nn.functional import pad
from transformers import DynamicCache

PROMPT_STEPS, PROMPT_IDS = (7_919, 104_729), 997
"""Prompts are made up, below any vocabulary's end; what they say changes no duration."""


class Chunk(NamedTuple):
    """``tokens`` more of a request's prompt, after ``past`` that are computed; the last one yields a token."""

    request: int
    adapter: str
    tokens: int
    past: int
    last: bool


@dataclass
class Row:
    """A request that decodes: the tokens it holds in KV, and the one it produced last."""

    request: int
    adapter: str
    context: int
    token: int


class Batch:
    """Requests of one model. ``mixed``: they may use different adapters of it."""

    def __init__(self, model: Any, device: torch.device, mixed: bool):
        self.model = model
        self._device = device
        self.mixed = mixed
        self.rows: list[Row] = []
        self._cache: Any = None
        self._partial: dict[int, Any] = {}
        self._paused: list[tuple[list[Row], Any]] = []

    # ------------------------------------------------------------------ steps

    def prefill(self, chunks: Sequence[Chunk]) -> None:
        """Compute prompts: whole ones together, padded to the longest; parts of long ones each by itself."""
        whole = [chunk for chunk in chunks if chunk.last and not chunk.past]
        if whole:
            self._prefill_whole(whole)
        for chunk in chunks:
            if chunk.past or not chunk.last:
                self._prefill_part(chunk)

    def _prefill_whole(self, chunks: Sequence[Chunk]) -> None:
        longest = max(chunk.tokens for chunk in chunks)
        pads = torch.tensor([longest - chunk.tokens for chunk in chunks], device=self._device)
        ids = torch.tensor([[0] * (longest - c.tokens) + self._prompt(c) for c in chunks], device=self._device)
        cache = DynamicCache()
        tokens = self._forward(ids, pads, cache, [chunk.adapter for chunk in chunks])
        rows = [Row(c.request, c.adapter, c.tokens, token) for c, token in zip(chunks, tokens, strict=True)]
        self._join(rows, cache)

    def _prefill_part(self, chunk: Chunk) -> None:
        cache = self._partial.pop(chunk.request, None) or DynamicCache()
        ids = torch.tensor([self._prompt(chunk)], device=self._device)
        (token,) = self._forward(ids, torch.zeros(1, dtype=torch.long, device=self._device), cache, [chunk.adapter])
        if chunk.last:
            self._join([Row(chunk.request, chunk.adapter, chunk.past + chunk.tokens, token)], cache)
        else:
            self._partial[chunk.request] = cache

    def decode(self) -> None:
        """A token for every request that decodes."""
        ids = torch.tensor([[row.token] for row in self.rows], device=self._device)
        longest = self._length(self._cache)
        pads = torch.tensor([longest - row.context for row in self.rows], device=self._device)
        tokens = self._forward(ids, pads, self._cache, [row.adapter for row in self.rows])
        for row, token in zip(self.rows, tokens, strict=True):
            row.context += 1
            row.token = token

    def _forward(self, ids: torch.Tensor, pads: torch.Tensor, cache: Any, adapters: list[str]) -> list[int]:
        """The next token of each row; ``pads``: places at the left of each that hold nothing."""
        past = self._length(cache)
        places = torch.arange(past + ids.shape[1], device=self._device)
        mask = (places >= pads[:, None]).long()
        positions = (places[past:] - pads[:, None]).clamp(min=0)
        more = {"adapter_names": adapters} if self.mixed else {}
        with torch.inference_mode():
            out = self.model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
                **more,
            )
        tokens: list[int] = out.logits[:, -1].argmax(dim=-1).tolist()
        return tokens

    @staticmethod
    def _length(cache: Any) -> int:
        return int(cache.get_seq_length()) if cache is not None else 0

    @staticmethod
    def _prompt(chunk: Chunk) -> list[int]:
        """Token ids of the chunk: a function of the request and the place, whatever way it is cut."""
        first = chunk.request * PROMPT_STEPS[0] + chunk.past * PROMPT_STEPS[1]
        return [1 + (first + i * PROMPT_STEPS[1]) % PROMPT_IDS for i in range(chunk.tokens)]

    # ------------------------------------------------------------------ joining and leaving

    def _join(self, rows: list[Row], cache: Any) -> None:
        if not self.rows:
            self.rows, self._cache = rows, cache
            return
        longest = max(self._length(self._cache), self._length(cache))
        merged = DynamicCache()
        for i, (ours, theirs) in enumerate(zip(self._cache.layers, cache.layers, strict=True)):
            keys = torch.cat([_widened(ours.keys, longest), _widened(theirs.keys, longest)])
            values = torch.cat([_widened(ours.values, longest), _widened(theirs.values, longest)])
            merged.update(keys, values, i)
        self.rows, self._cache = self.rows + rows, merged

    def leave(self, requests: Sequence[int]) -> None:
        """These are in it no more, and their KV is free."""
        gone = dict.fromkeys(requests)
        for request in requests:
            self._partial.pop(request, None)
        if any(row.request in gone for row in self.rows):
            self._set(self._part([row.request not in gone for row in self.rows]))

    def serve_only(self, adapter: str | None) -> None:
        """Requests of other adapters pause; with ``None`` all go on."""
        if self._paused:
            rows, cache = self._paused.pop()
            self._join(rows, cache)
        if adapter is not None and any(row.adapter != adapter for row in self.rows):
            self._paused.append(self._part([row.adapter != adapter for row in self.rows]))
            self._set(self._part([row.adapter == adapter for row in self.rows]))

    def _set(self, part: tuple[list[Row], Any]) -> None:
        self.rows, self._cache = part

    def _part(self, wanted: Sequence[bool]) -> tuple[list[Row], Any]:
        """Some of its rows, with their KV no wider than the longest of them needs."""
        places = [i for i, keep in enumerate(wanted) if keep]
        rows = [self.rows[i] for i in places]
        if not rows:
            return [], None
        longest = max(row.context for row in rows)
        index, part = torch.tensor(places, device=self._device), DynamicCache()
        for i, layer in enumerate(self._cache.layers):
            part.update(layer.keys[index, :, -longest:].contiguous(), layer.values[index, :, -longest:].contiguous(), i)
        return rows, part


def _widened(x: torch.Tensor, length: int) -> torch.Tensor:
    """[batch, heads, tokens, dim] with empty places at the left up to ``length`` tokens."""
    return pad(x, (0, 0, length - x.shape[2], 0))
