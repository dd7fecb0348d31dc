"""Every built-in policy keeps the contract of its role, with its default keys."""

from __future__ import annotations

from typing import Any

from simlora.policies.base import ROLES
from simlora.policies.registry import policies_of
from simlora.testing import CONTRACTS


def _contract(role: str, policy: type) -> type:
    def make_policy(self: object) -> Any:
        return policy()

    name = f"Test{role.title()}{policy.__name__}"
    return type(name, (CONTRACTS[role],), {"make_policy": make_policy, "__module__": __name__})


for _role in ROLES:
    if _role != "rebalancing":
        for _policy in policies_of(_role).values():
            _made = _contract(_role, _policy)
            globals()[_made.__name__] = _made
