"""The nouns: frozen facts about models, functions, requests and the places bytes can be.

Identity is by object (``eq=False``) where an object stands for itself, so that a dictionary lookup on the
hot path costs a pointer comparison; everything that needs an order sorts by ``index``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class Tier(StrEnum):
    """Where bytes can be, from far to near."""

    REMOTE = "remote"
    SSD = "ssd"
    HOST = "host"
    DEVICE = "device"


class ArtifactKind(StrEnum):
    """What a function needs before its first token."""

    CONTAINER = "container"
    LIBRARY = "library"
    CONTEXT = "context"
    BACKBONE = "backbone"
    ADAPTER = "adapter"
    KERNELS = "kernels"


@dataclass(frozen=True, slots=True, eq=False)
class Backbone:
    """A decoder-only transformer, by the numbers of its Hugging Face ``config.json``.

    With ``tensor_parallel`` > 1 its weights and KV are split over so many GPUs of a node, on each of which ``shard`` is
    what there is of it: its heads, columns and vocabulary divided, its norms whole (Megatron-LM's scheme).
    """

    name: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocab: int
    tied_embeddings: bool = False
    param_bytes: int = 2
    tensor_parallel: int = 1
    weights_bytes: int = field(init=False)
    kv_bytes_per_token: int = field(init=False)
    shard: Backbone = field(init=False)

    def __post_init__(self) -> None:
        parts = self.tensor_parallel
        for name, size in (("heads", self.heads), ("kv_heads", self.kv_heads), ("intermediate", self.intermediate)):
            if parts < 1 or size % parts:
                raise ValueError(f"tensor_parallel must divide {name} = {size} (found {parts})")
        per_layer = sum(d_in * d_out for d_in, d_out in self.projections().values()) + 2 * self.hidden
        embeddings = self.vocab * self.hidden * (1 if self.tied_embeddings else 2)
        params = self.layers * per_layer + embeddings + self.hidden
        object.__setattr__(self, "weights_bytes", params * self.param_bytes)
        kv = 2 * self.layers * self.kv_heads * self.head_dim * self.param_bytes
        object.__setattr__(self, "kv_bytes_per_token", kv)
        object.__setattr__(self, "shard", self if parts == 1 else self._one_of(parts))

    def _one_of(self, parts: int) -> Backbone:
        return replace(
            self,
            heads=self.heads // parts,
            kv_heads=self.kv_heads // parts,
            intermediate=self.intermediate // parts,
            vocab=-(-self.vocab // parts),
            tensor_parallel=1,
        )

    def projections(self) -> dict[str, tuple[int, int]]:
        """(inputs, outputs) of each linear projection of one layer."""
        q, kv = self.heads * self.head_dim, self.kv_heads * self.head_dim
        return {
            "q_proj": (self.hidden, q),
            "k_proj": (self.hidden, kv),
            "v_proj": (self.hidden, kv),
            "o_proj": (q, self.hidden),
            "gate_proj": (self.hidden, self.intermediate),
            "up_proj": (self.hidden, self.intermediate),
            "down_proj": (self.intermediate, self.hidden),
        }

    def adapter_bytes(self, rank: int, target_modules: tuple[str, ...]) -> int:
        """Bytes of a LoRA adapter: rank x P x bytes per parameter, P = sum of (d_in + d_out) over its modules."""
        shapes = self.projections()
        return rank * self.layers * sum(sum(shapes[module]) for module in target_modules) * self.param_bytes


@dataclass(frozen=True, slots=True, eq=False)
class Artifact:
    """One loadable thing: ``name`` is the backbone's, the function's or the runtime's, so equal things share one.

    A part of a thing has a name of its own, and that of its ``whole``, where it can also be found.
    """

    kind: ArtifactKind
    name: str
    bytes: int
    whole: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """A backbone, an adapter, and what its user was promised.

    ``adapter_shard_bytes``: of the adapter on each GPU, the side of a split projection that is whole included, as vLLM
    lays it out.
    """

    index: int
    id: str
    backbone: Backbone
    rank: int
    target_modules: tuple[str, ...]
    slo_ttft_s: float
    slo_tpot_s: float | None = None
    adapter: Artifact = field(init=False)
    adapter_shard_bytes: int = field(init=False)

    def __post_init__(self) -> None:
        shard_bytes = self.backbone.shard.adapter_bytes(self.rank, self.target_modules)
        object.__setattr__(self, "adapter_shard_bytes", shard_bytes)
        size = self.backbone.adapter_bytes(self.rank, self.target_modules)
        object.__setattr__(self, "adapter", Artifact(ArtifactKind.ADAPTER, self.id, size))


class QueuedRequest:
    """What a policy may know of a request. The number of tokens it will produce is not among it (design law 2)."""

    __slots__ = ("arrived_s", "function", "index", "max_new_tokens", "prompt_tokens")

    def __init__(self, index: int, function: Function, arrived_s: float, prompt_tokens: int, max_new_tokens: int):
        self.index = index
        self.function = function
        self.arrived_s = arrived_s
        self.prompt_tokens = prompt_tokens
        self.max_new_tokens = max_new_tokens

    def __repr__(self) -> str:
        return f"<request {self.index} of {self.function.id} at {self.arrived_s:.3f} s>"
