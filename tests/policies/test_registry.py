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


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\ndef broken(:\n", ":2: SyntaxError"),
        ("x = undefined\n", ":1: NameError: name 'undefined' is not defined"),
        ("import no_such_module_at_all\n", "No module named 'no_such_module_at_all'"),
        ("x = '\0'\n", "null bytes"),
        ("x = 1\nimport sys\nsys.exit(0)\n", ":3: SystemExit: 0"),
    ],
)
def test_a_module_that_cannot_be_imported_is_one_message(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "broken_policies.py").write_text(text)
    with pytest.raises(ConfigError, match="broken_policies") as refused:
        make_policy("preloading", {"policy": "broken_policies:Mine"}, tmp_path)
    assert said in str(refused.value)


def test_a_module_that_is_not_there_names_each_folder_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match='no module "absent_policies" in') as refused:
        make_policy("preloading", {"policy": "absent_policies:Mine"}, tmp_path)
    assert str(refused.value).count(str(tmp_path)) == 1


def test_a_path_is_no_module_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no module name"):
        make_policy("preloading", {"policy": "../policies:Mine"}, tmp_path)
