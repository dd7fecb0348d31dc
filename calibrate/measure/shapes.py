"""The shapes of the models that are measured, from the catalogue that the simulator reads too."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

CATALOGUE = Path(__file__).parents[2] / "simlora" / "latency" / "backbones.json"


@dataclass(frozen=True)
class Shape:
    """A decoder-only transformer of the Llama kind."""

    name: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    intermediate: int
    vocab: int

    @property
    def head_dim(self) -> int:
        return self.hidden // self.heads

    @property
    def projections(self) -> dict[str, tuple[int, int]]:
        """(inputs, outputs) of each linear projection of one layer."""
        kv = self.kv_heads * self.head_dim
        return {
            "q_proj": (self.hidden, self.hidden),
            "k_proj": (self.hidden, kv),
            "v_proj": (self.hidden, kv),
            "o_proj": (self.hidden, self.hidden),
            "gate_proj": (self.hidden, self.intermediate),
            "up_proj": (self.hidden, self.intermediate),
            "down_proj": (self.intermediate, self.hidden),
        }

    @property
    def params(self) -> int:
        """Parameters, norms left out."""
        return self.layers * sum(i * o for i, o in self.projections.values()) + 2 * self.vocab * self.hidden


def load_shape(name: str) -> Shape:
    """A model of the catalogue, or of the ``config.json`` at a path; :class:`SystemExit` with the names otherwise."""
    models = json.loads(CATALOGUE.read_text(encoding="utf-8"))
    path = Path(name)
    if name in models:
        config = models[name]
    elif path.suffix == ".json" and path.is_file():
        config, name = json.loads(path.read_text(encoding="utf-8")), path.resolve().parent.name
    else:
        raise SystemExit(f'no model "{name}"; there are {", ".join(models)}, or the path of a config.json')
    heads = config["num_attention_heads"]
    return Shape(
        name=name,
        layers=config["num_hidden_layers"],
        hidden=config["hidden_size"],
        heads=heads,
        kv_heads=config.get("num_key_value_heads") or heads,
        intermediate=config["intermediate_size"],
        vocab=config["vocab_size"],
    )
