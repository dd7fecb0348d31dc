"""The same questions in another process, with another hash seed."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import random
import subprocess
import sys
from functools import cache
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


def digests(module_name: str) -> dict[str, str]:
    """The fingerprint of each contract defined at the top of a module, by name; of one that fails, its error."""
    found: dict[str, str] = {}
    for name, value in vars(importlib.import_module(module_name)).items():
        if isinstance(value, type) and hasattr(value, "ask_all") and value.__module__ == module_name:
            try:
                found[name] = digest(value)
            except Exception as error:  # one policy's fault must not hide the answers of the others
                found[name] = repr(error)
    return found


@cache
def printed_elsewhere(module: str, *arguments: str) -> str:
    """The last line that ``python -m module`` prints in a new interpreter that hashes strings otherwise."""
    seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": seed}
    command = [sys.executable, "-m", module, *arguments]
    there = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if there.returncode:
        raise RuntimeError(f"{' '.join(arguments)} could not be asked in another process:\n{there.stderr}")
    return there.stdout.splitlines()[-1]


def answers_elsewhere(contract: type[PolicyContract]) -> tuple[str, str]:
    """The fingerprint here and in a new interpreter that hashes strings otherwise, one for all of a module."""
    there = json.loads(printed_elsewhere("simlora.testing.elsewhere", contract.__module__))
    return digest(contract), there.get(contract.__qualname__, "not defined at the top of its module")


if __name__ == "__main__":
    print(json.dumps(digests(sys.argv[1])))
