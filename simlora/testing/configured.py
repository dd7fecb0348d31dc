"""The contract of a policy named as in an experiment file, and the first law of it that is broken."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simlora.policies.registry import make_policy
from simlora.study.places import blame
from simlora.testing.contracts import CONTRACTS, PolicyContract
from simlora.testing.contracts.base import EXAMPLES, LAWS
from simlora.testing.elsewhere import digest, printed_elsewhere
from simlora.testing.worlds import make_world


def configured(role: str, options: Mapping[str, Any], base_dir: Path) -> type[PolicyContract]:
    """The contract of the role, of the policy that ``{policy = NAME, key = value, ...}`` describes."""

    def make(self: PolicyContract) -> Any:
        return make_policy(role, options, base_dir)

    return type("Configured", (CONTRACTS[role],), {"make_policy": make})


def first_broken_law(role: str, options: Mapping[str, Any], base_dir: Path) -> str:
    """The law, and what broke it, in the first of a fixed series of random worlds that does; empty if none is broken.

    Raises :class:`ConfigError` for a policy that does not exist.
    """
    contract = configured(role, options, base_dir)
    contract().make_policy()
    for seed in range(EXAMPLES):
        for law in LAWS:
            try:
                getattr(contract(), law)(make_world(random.Random(seed)))
            except AssertionError as error:
                return f"{law.replace('_', ' ')}: {error}"
            except Exception as error:
                return f"{law.replace('_', ' ')}: {blame(error, base_dir)}"
    there = printed_elsewhere(__name__, role, json.dumps(options), str(base_dir))
    return "" if there == digest(contract) else "another process gives the same answers: it gives others"


if __name__ == "__main__":
    print(digest(configured(sys.argv[1], json.loads(sys.argv[2]), Path(sys.argv[3]))))
