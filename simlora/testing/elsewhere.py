"""The same questions in another process, with another hash seed."""

from __future__ import annotations

import hashlib
import importlib
import os
import random
import subprocess
import sys
from typing import TYPE_CHECKING

from simlora.testing.worlds import make_world

if TYPE_CHECKING:
    from simlora.testing.contracts import PolicyContract

WORLDS = 40


def digest(contract: type[PolicyContract]) -> str:
    """A fingerprint of all answers a contract's policy gives in a fixed series of worlds."""
    answers = hashlib.sha256()
    for seed in range(WORLDS):
        answers.update(repr(contract().ask_all(make_world(random.Random(seed)))).encode())
    return answers.hexdigest()


def answers_elsewhere(contract: type[PolicyContract]) -> tuple[str, str]:
    """The fingerprint here and in a new interpreter that hashes strings otherwise."""
    command = [sys.executable, "-m", "simlora.testing.elsewhere", contract.__module__, contract.__qualname__]
    seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": seed}
    there = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return digest(contract), there.stdout.strip() or there.stderr


if __name__ == "__main__":
    print(digest(getattr(importlib.import_module(sys.argv[1]), sys.argv[2])))
