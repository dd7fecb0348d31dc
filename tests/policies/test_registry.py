"""A user's policy comes from the experiment's own folder."""

from __future__ import annotations

import inspect
import math
import typing
from pathlib import Path

import pytest

from simlora.errors import ConfigError
from simlora.policies.base import ROLES
from simlora.policies.fitting import check_role
from simlora.policies.registry import make_policy, policies_of
from simlora.systems import load_system
from simlora.systems.config import parse_system

POLICY = """
from dataclasses import dataclass
from typing import Literal


@dataclass
class Mine:
    depth: int = {depth}
    sees: Literal["all", "none"] = "all"
    stages: tuple[str, ...] = ()
    causes: frozenset = frozenset()

    def plan(self, causes, view): ...


@dataclass
class Misspelt:
    causes: frozenset = frozenset()

    def plann(self, causes, view): ...


@dataclass
class Short:
    causes: frozenset = frozenset()

    def plan(self, causes): ...


@dataclass
class Causeless:
    def plan(self, causes, view): ...
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


def test_a_name_that_is_no_more_is_answered_with_the_one_that_took_its_place(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match='"fixed" has no key "seconds"; allowed: idle_s'):
        make_policy("keepalive", {"policy": "fixed", "seconds": 5.0}, tmp_path)


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
    with pytest.raises(ConfigError, match=r'^no module "absent_policies" in') as refused:
        make_policy("preloading", {"policy": "absent_policies:Mine"}, tmp_path)
    assert str(refused.value).count(str(tmp_path)) == 1


def test_a_path_is_no_module_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no module name"):
        make_policy("preloading", {"policy": "../policies:Mine"}, tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("depth", "many", "key \"depth\" must be a valid integer (found 'many')"),
        ("depth", True, 'key "depth" must be a valid integer (found True)'),
        ("depth", 1.5, 'key "depth" must be a valid integer'),
        ("sees", "nothing", "key \"sees\" must be 'all' or 'none' (found 'nothing')"),
        ("stages", "x", 'key "stages" must be a valid array'),
    ],
)
def test_a_value_of_another_type_is_told(two_folders: tuple[Path, Path], key: str, value: object, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        make_policy("preloading", {"policy": "namesake_policies:Mine", key: value}, two_folders[0], "there")
    assert str(refused.value).startswith('there: preloading policy "namesake_policies:Mine": ')
    assert said in str(refused.value)


def test_a_list_becomes_the_tuple_that_is_declared(two_folders: tuple[Path, Path]) -> None:
    made = make_policy("preloading", {"policy": "namesake_policies:Mine", "stages": ["a", "b"]}, two_folders[0])
    assert made.stages == ("a", "b")


@pytest.mark.parametrize("seconds", [60, 0.5, float("inf")])
def test_a_number_may_be_whole_or_infinite_where_any_is_declared(tmp_path: Path, seconds: float) -> None:
    assert make_policy("keepalive", {"policy": "fixed", "idle_s": seconds}, tmp_path).idle_s == seconds
    system = load_system("serverless-lora", {"keepalive.idle_s": seconds})
    assert parse_system(system.model_dump(mode="json"), "here").keepalive["idle_s"] == seconds


@pytest.mark.parametrize(
    ("role", "policy", "key", "value"),
    [
        ("preloading", "pckp", "min_density", math.nan),
        ("preloading", "pckp", "min_density", math.inf),
        ("batching", "slo-classes", "threshold", -math.inf),
        ("keepalive", "fixed", "idle_s", math.nan),
        ("adapters", "chameleon-score", "size", math.nan),
        ("batching", "memory-look-ahead", "prefetch_steps", [math.inf]),
    ],
)
def test_no_number_is_nan_and_only_times_are_infinite(
    tmp_path: Path, role: str, policy: str, key: str, value: object
) -> None:
    said = f'there: {role} policy "{policy}": key "{key}" must be a finite number (found {value!r})'
    with pytest.raises(ConfigError) as refused:
        make_policy(role, {"policy": policy, key: value}, tmp_path, "there")
    assert str(refused.value) == said


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_every_built_in_refuses_what_is_no_number(tmp_path: Path, role: str, value: float) -> None:
    for name, policy in policies_of(role).items():
        for key, hint in typing.get_type_hints(policy).items():
            if hint is float and key in inspect.signature(policy).parameters and not key.endswith("_s"):
                with pytest.raises(ConfigError, match=f'"{key}" must be a finite number'):
                    make_policy(role, {"policy": name, key: value}, tmp_path)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Misspelt", 'lacks the method plan(causes: Sequence[Cause], view: ClusterView) -> Plan; it has "plann"'),
        (
            "Short",
            "its method plan is called as plan(causes: Sequence[Cause], view: ClusterView) -> Plan, but: too many",
        ),
        ("Causeless", "lacks causes: frozenset[CauseKind]"),
    ],
)
def test_what_a_role_asks_for_is_looked_for_at_once(two_folders: tuple[Path, Path], name: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        make_policy("preloading", {"policy": f"namesake_policies:{name}"}, two_folders[0], "there")
    assert f'there: preloading policy "namesake_policies:{name}"' in str(refused.value)
    assert said in str(refused.value)


@pytest.mark.parametrize("role", ROLES)
def test_every_built_in_has_what_its_role_asks_for(role: str) -> None:
    for policy in policies_of(role).values():
        check_role(policy.__new__(policy), role, "it")
