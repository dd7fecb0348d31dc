"""A Llama-style decoder in plain torch, to time whole steps of: random weights, static KV, adapters unmerged."""

from __future__ import annotations

import torch
from torch.nn.functional import linear, rms_norm, scaled_dot_product_attention, silu

from calibrate.measure.bench import Bench
from calibrate.measure.shapes import Shape

Adapter = tuple[torch.Tensor, torch.Tensor]


class Layer:
    """One decoder layer with KV for ``batch`` sequences of ``capacity`` tokens; ``rank`` 0: no adapter."""

    def __init__(self, bench: Bench, shape: Shape, batch: int, capacity: int, rank: int = 0):
        self.shape = shape
        scale = 0.02
        self.weights = {name: bench.random(o, i) * scale for name, (i, o) in shape.projections.items()}
        self.adapters: dict[str, Adapter] = {}
        if rank:
            for name, (i, o) in shape.projections.items():
                self.adapters[name] = bench.random(rank, i) * scale, bench.random(o, rank) * scale
        self.norms = bench.random(2, shape.hidden)
        kv = (batch, shape.kv_heads, capacity, shape.head_dim)
        self.keys, self.values = bench.random(*kv), bench.random(*kv)
        half = shape.head_dim // 2
        self.cos, self.sin = bench.random(capacity, half), bench.random(capacity, half)

    def _project(self, name: str, x: torch.Tensor) -> torch.Tensor:
        y = linear(x, self.weights[name])
        if name in self.adapters:
            a, b = self.adapters[name]
            y = y + linear(linear(x, a), b)
        return y

    def _rotate(self, x: torch.Tensor, past: int) -> torch.Tensor:
        tokens, half = x.shape[2], x.shape[3] // 2
        cos, sin = self.cos[past : past + tokens], self.sin[past : past + tokens]
        left, right = x[..., :half], x[..., half:]
        return torch.cat((left * cos - right * sin, right * cos + left * sin), dim=-1)

    def __call__(self, x: torch.Tensor, past: int) -> torch.Tensor:
        """``x``: [batch, new tokens, hidden], after ``past`` tokens that are in KV."""
        s, (batch, tokens, _) = self.shape, x.shape
        h = rms_norm(x, (s.hidden,), self.norms[0])
        q = self._project("q_proj", h).view(batch, tokens, s.heads, s.head_dim).transpose(1, 2)
        k = self._project("k_proj", h).view(batch, tokens, s.kv_heads, s.head_dim).transpose(1, 2)
        v = self._project("v_proj", h).view(batch, tokens, s.kv_heads, s.head_dim).transpose(1, 2)
        self.keys[:, :, past : past + tokens] = self._rotate(k, past)
        self.values[:, :, past : past + tokens] = v
        keys, values = self.keys[:, :, : past + tokens], self.values[:, :, : past + tokens]
        causal, grouped = tokens > 1, s.heads != s.kv_heads
        a = scaled_dot_product_attention(self._rotate(q, past), keys, values, is_causal=causal, enable_gqa=grouped)
        x = x + self._project("o_proj", a.transpose(1, 2).reshape(batch, tokens, s.hidden))
        h = rms_norm(x, (s.hidden,), self.norms[1])
        return x + self._project("down_proj", silu(self._project("gate_proj", h)) * self._project("up_proj", h))


class Model:
    """``layers`` of them between an embedding and a head that answers for the last token."""

    def __init__(self, bench: Bench, shape: Shape, batch: int, capacity: int, rank: int = 0, layers: int | None = None):
        self.layers = [Layer(bench, shape, batch, capacity, rank) for _ in range(layers or shape.layers)]
        self.embedding, self.head = bench.random(shape.vocab, shape.hidden), bench.random(shape.vocab, shape.hidden)

    @torch.inference_mode()
    def __call__(self, tokens: torch.Tensor, past: int) -> torch.Tensor:
        """``tokens``: [batch, new tokens]; the greedy next token of each sequence."""
        x = self.embedding[tokens]
        for layer in self.layers:
            x = layer(x, past)
        return linear(x[:, -1], self.head).argmax(dim=1)


def model_bytes(bench: Bench, shape: Shape, batch: int, capacity: int, layers: int | None = None) -> int:
    """Device bytes of weights and KV, and of a prefill's activations (logits of the last token only)."""
    count = layers or shape.layers
    per_layer = sum(i * o for i, o in shape.projections.values())
    kv = 2 * count * batch * shape.kv_heads * capacity * shape.head_dim
    activations = 4 * batch * capacity * (shape.hidden + shape.intermediate)
    return (count * per_layer + 2 * shape.vocab * shape.hidden + kv + activations) * bench.dtype.itemsize
