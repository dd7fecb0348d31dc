"""Every registered policy keeps the contract of its role: with its default keys, as shipped systems use it, and varied.

The tables come from the registry and the systems, so a policy or a system that is added has its contract run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from simlora.policies.base import ROLES
from simlora.policies.registry import make_policy, policies_of
from simlora.systems.config import list_systems, load_system
from simlora.testing import CONTRACTS

Table = dict[str, Any]

VARIANTS: list[tuple[str, Table]] = [
    ("batching", {"policy": "fill-or-expire", "delay_rule": "slack"}),
    ("batching", {"policy": "fill-or-expire", "delay_rule": "clamped", "max_batch": 2}),
    ("batching", {"policy": "fixed", "size": 4, "delay_s": 1.0}),
    ("batching", {"policy": "vllm", "max_num_seqs": 2, "chunk_tokens": 64, "watermark": 0.2}),
    ("preloading", {"policy": "pckp", "copies": 2}),
    ("routing", {"policy": "lora-affinity", "sees": "in-flight"}),
]
"""Keys that change a policy's rule and that no shipped system sets."""


def _tables() -> Iterator[tuple[str, Table]]:
    for role in ROLES:
        yield from ((role, {"policy": name}) for name in policies_of(role))
        yield from ((role, getattr(load_system(name), role)) for name in list_systems())
    yield from VARIANTS


def _contract(role: str, options: Table) -> type:
    def make(self: object) -> Any:
        return make_policy(role, options, Path())

    keys = "".join(f"_{key}_{value}" for key, value in options.items() if key != "policy")
    name = f"Test{role.title()}_{options['policy']}{keys}"
    return type(name, (CONTRACTS[role],), {"make_policy": make, "__module__": __name__})


DISTINCT = {json.dumps([CONTRACTS[r].__name__, options], sort_keys=True): (r, options) for r, options in _tables()}
for _role, _options in DISTINCT.values():
    _made = _contract(_role, _options)
    globals()[_made.__name__] = _made


def test_every_role_has_its_contract_run() -> None:
    tested = {CONTRACTS[role] for role, _ in DISTINCT.values()}
    assert [role for role in ROLES if CONTRACTS[role] not in tested] == []
