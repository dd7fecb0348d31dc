"""Every built-in policy keeps the contract of its role, with its default keys and with others that change its rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from simlora.policies.base import ROLES
from simlora.policies.registry import make_policy, policies_of
from simlora.systems.config import list_systems, load_system
from simlora.testing import CONTRACTS

VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("batching", {"policy": "fill-or-expire", "delay_rule": "slack"}),
    ("batching", {"policy": "fill-or-expire", "delay_rule": "clamped", "max_batch": 2}),
    ("batching", {"policy": "fixed", "size": 4, "delay_s": 1.0}),
    ("batching", {"policy": "vllm", "max_num_seqs": 2, "chunk_tokens": 64, "watermark": 0.2}),
    ("preloading", {"policy": "pckp", "copies": 2}),
]


def _contract(role: str, options: dict[str, Any]) -> type:
    def make(self: object) -> Any:
        return make_policy(role, options, Path())

    keys = "".join(f"_{key}_{value}" for key, value in options.items() if key != "policy")
    name = f"Test{role.title()}_{options['policy']}{keys}"
    return type(name, (CONTRACTS[role],), {"make_policy": make, "__module__": __name__})


_TABLES = [(role, {"policy": name}) for role in ROLES if role != "rebalancing" for name in policies_of(role)]
for _role, _options in _TABLES + VARIANTS:
    _made = _contract(_role, _options)
    globals()[_made.__name__] = _made


@pytest.mark.parametrize("system", list_systems())
def test_every_policy_of_a_shipped_system_has_its_contract_run(system: str) -> None:
    config = load_system(system)
    tested = [(role, options["policy"]) for role, options in _TABLES]
    for role in ROLES:
        wanted = getattr(config, role)["policy"]
        assert ("preloading" if role == "rebalancing" else role, wanted) in tested
