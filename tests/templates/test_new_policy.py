"""A new policy works as it is written: it keeps its contract and takes part in a run of its role's system."""

from __future__ import annotations

from pathlib import Path

import pytest

from simlora.arena.template import ring_of
from simlora.errors import ConfigError
from simlora.policies.base import ROLES
from simlora.systems import load_system
from simlora.templates.new_policy import write_policy
from simlora.testing import Scenario, make_functions, make_workload
from simlora.testing.configured import first_broken_law

ROWS = [(at_s, row % 3, 200, 40) for row, at_s in enumerate((0.0, 0.1, 5.0, 40.0, 41.0, 90.0, 200.0))]


@pytest.mark.parametrize("role", ROLES)
def test_what_is_written_keeps_its_contract_and_runs(
    role: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = write_policy(role, f"my-{role}", tmp_path)
    assert first_broken_law(role, {"policy": written.name}, tmp_path) == ""
    monkeypatch.chdir(tmp_path)
    overrides = {**ring_of(role).keys, role: {"policy": written.name}}
    functions = make_functions("llama-2-7b", "llama-2-7b", "llama-2-7b")
    record = Scenario(ring_of(role).base, functions, make_workload(ROWS), overrides).run()
    assert set(record.requests["outcome"].to_pylist()) == {"finished"}


@pytest.mark.parametrize("role", ROLES)
def test_it_is_short_and_says_what_it_does(role: str, tmp_path: Path) -> None:
    text = write_policy(role, "mine", tmp_path).policy.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 40
    assert max(map(len, text.splitlines())) <= 120
    assert text.count('"""') == 4


@pytest.mark.parametrize(
    ("name", "module", "called"),
    [("last-called", "last_called", "LastCalled"), ("LastCalled", "last_called", "LastCalled"), ("x2", "x2", "X2")],
)
def test_words_of_a_name(name: str, module: str, called: str, tmp_path: Path) -> None:
    written = write_policy("scaling", name, tmp_path)
    assert (written.policy.name, written.test.name) == (f"{module}.py", f"test_{module}.py")
    assert written.name == f"{module}:{called}"
    assert f"class Test{called}(ScalingContract)" in written.test.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("role", "name", "fragment"),
    [
        ("preload", "mine", 'did you mean "preloading"'),
        ("scaling", "2nd", "can't be the name"),
        ("scaling", "class", "can't be the name"),
        ("scaling", "../mine", "can't be the name"),
    ],
)
def test_bad_input_writes_nothing(role: str, name: str, fragment: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=fragment):
        write_policy(role, name, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("there", ["mine.py", "test_mine.py"])
def test_nothing_is_overwritten(there: str, tmp_path: Path) -> None:
    (tmp_path / there).write_text("mine")
    with pytest.raises(ConfigError, match=there):
        write_policy("routing", "mine", tmp_path)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_a_system_of_every_role_is_shipped() -> None:
    for role in ROLES:
        assert load_system(ring_of(role).base, ring_of(role).keys)
