"""A user's policy comes from the experiment's own folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from simlora.errors import ConfigError
from simlora.policies.registry import make_policy

POLICY = """
from dataclasses import dataclass


@dataclass
class Mine:
    depth: int = {depth}
"""


@pytest.fixture
def two_folders(tmp_path: Path) -> tuple[Path, Path]:
    """Two folders, each with a module of the same name."""
    folders = tmp_path / "one", tmp_path / "two"
    for depth, folder in enumerate(folders, 1):
        folder.mkdir()
        (folder / "namesake_policies.py").write_text(POLICY.format(depth=depth))
    return folders


def test_namesakes_in_two_folders_do_not_mix(two_folders: tuple[Path, Path]) -> None:
    options = {"policy": "namesake_policies:Mine"}
    first, second = two_folders
    depths = [make_policy("preloading", options, folder).depth for folder in (first, second, first)]
    assert depths == [1, 2, 1]


def test_a_wrong_key_names_the_nearest(two_folders: tuple[Path, Path]) -> None:
    options = {"policy": "namesake_policies:Mine", "dept": 3}
    with pytest.raises(ConfigError, match='no key "dept"; did you mean "depth"'):
        make_policy("preloading", options, two_folders[0])


def test_a_wrong_class_names_those_there_are(two_folders: tuple[Path, Path]) -> None:
    with pytest.raises(ConfigError, match='did you mean "Mine"'):
        make_policy("preloading", {"policy": "namesake_policies:Mime"}, two_folders[0])
