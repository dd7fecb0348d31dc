"""What ``simlora new-policy`` writes: a small policy of a role that works as it is, and the test of its contract."""

from __future__ import annotations

import keyword
import re
from pathlib import Path
from typing import NamedTuple

from simlora.errors import ConfigError, unknown_name
from simlora.policies.base import ROLES
from simlora.study.store import one_message

HERE = Path(__file__).parent


class NewPolicy(NamedTuple):
    """The files written, and the policy's name in an experiment file."""

    policy: Path
    test: Path
    name: str


def write_policy(role: str, name: str, folder: Path) -> NewPolicy:
    """Write ``folder/NAME.py`` and ``folder/test_NAME.py``; words of ``name`` are parted by case, ``-`` or ``_``.

    Raises :class:`ConfigError` for a role that does not exist or a name that Python can't have, and rather than touch
    what is there.
    """
    if role not in ROLES:
        raise unknown_name("role", role, ROLES)
    words = [word.lower() for word in re.findall(r"[A-Z]*[a-z0-9]+|[A-Z]+", name)]
    module, called = "_".join(words), "".join(word.capitalize() for word in words)
    if not re.fullmatch(r"[\w-]+", name, re.ASCII) or not module.isidentifier() or keyword.iskeyword(module):
        raise ConfigError(f'"{name}" can\'t be the name of a policy; write words, as in last-called or LastCalled')
    paths = folder / f"{module}.py", folder / f"test_{module}.py"
    for path in paths:
        if path.exists():
            raise ConfigError(f"{path}: there is something there already; new-policy writes new files only")
    filled = {"test_mine": f"test_{module}", "from mine": f"from {module}", "Mine": called}
    filled["RoleContract"] = contract_name(role)
    with one_message(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for path, source in zip(paths, (f"policies/{role}.py.txt", "test_policy.py.txt"), strict=True):
            text = (HERE / source).read_text(encoding="utf-8")
            for placeholder, value in filled.items():
                text = text.replace(placeholder, value)
            path.write_text(text, encoding="utf-8")
    return NewPolicy(*paths, f"{module}:{called}")


def contract_name(role: str) -> str:
    """The contract suite of a role, as it is imported from ``simlora.testing``."""
    from simlora.testing import CONTRACTS

    return CONTRACTS[role].__name__
