"""The arena from end to end, on scenarios small enough for a test."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from simlora.arena import template
from simlora.arena.contest import run_arena
from simlora.arena.timing import watch
from simlora.errors import ConfigError, PolicyError
from simlora.policies.registry import make_policy, policies_of
from simlora.study import runner
from simlora.templates.new_policy import write_policy
from simlora.testing import make_functions

pytestmark = pytest.mark.slow

SMALL = {
    name: {
        "why": "it is small",
        "trace": {"name": "poisson", "rate_per_s": rate},
        "duration_s": 120.0,
        "functions": {"count": 3, "backbones": ["llama-2-7b"]},
    }
    for name, rate in (("calm", 0.05), ("busy", 0.2))
}
Arena = Callable[..., Path]


@pytest.fixture
def arena(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Arena:
    """Run the arena of a role with the policy that new-policy writes, two seeds."""
    monkeypatch.setattr(template, "scenarios", lambda: SMALL)
    monkeypatch.setattr("simlora.arena.contest.scenarios", lambda: SMALL)
    monkeypatch.chdir(tmp_path)

    def run(role: str = "keepalive", policy: str = "", keys: tuple[str, ...] = (), **options: Any) -> Path:
        if not policy:
            policy = "mine:Mine"
            if not (tmp_path / "mine.py").exists():
                write_policy(role, "mine", tmp_path)
        return run_arena(role, policy, keys, **{"seeds": 2, "jobs": 0, **options}).out

    return run


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_it_ranks_yours_among_all_registered_policies(arena: Arena, capsys: pytest.CaptureFixture[str]) -> None:
    out = arena()
    ranked = table(out / "ranking.csv")
    assert list(dict.fromkeys(row["scenario"] for row in ranked)) == ["calm", "busy", "overall"]
    for scenario in ("calm", "busy", "overall"):
        policies = {row["policy"] for row in ranked if row["scenario"] == scenario}
        assert policies == {"Mine (yours)", *policies_of("keepalive"), "bound"}
    assert [row["policy"] for row in ranked if row["yours"] == "True"] == ["Mine (yours)"] * 3
    shown = capsys.readouterr().out
    assert "it is small" in shown
    assert "less the best" in shown
    assert all(0.0 <= float(row["gap_closed"] or 0) <= 1.0 for row in ranked), "somebody beats the bound"
    assert (out / "figures" / "arena.pdf").stat().st_size > 0


def test_it_goes_on_where_it_ended_and_says_the_same(arena: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    out = arena()
    before = {path: path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}
    monkeypatch.setattr("simlora.study.runner.run_cell", lambda *_: pytest.fail("ran a cell again"))
    monkeypatch.setattr("simlora.arena.timing.measure", lambda *_: pytest.fail("timed a cell again"))
    arena()
    changed = [path.name for path, content in before.items() if path.read_bytes() != content]
    assert changed == []


def test_the_next_policy_costs_its_own_runs_alone(
    arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arena()
    write_policy("keepalive", "other", tmp_path)
    ran: list[str] = []
    run_cell = runner.run_cell
    monkeypatch.setattr(runner, "run_cell", lambda cell, *rest: ran.append(cell.system) or run_cell(cell, *rest))
    out = arena(policy="other:Other")
    assert ran == ["Other (yours)"] * 4
    assert "Mine (yours)" not in (out / "ranking.csv").read_text(encoding="utf-8")


def test_decision_times_stand_apart_from_results(arena: Arena) -> None:
    out = arena()
    times = table(out / "decision_times.csv")
    assert {row["system"] for row in times} == {"Mine (yours)", *policies_of("keepalive")}
    assert all(float(row["p99_us"]) > 0 for row in times)
    others = [path for path in out.rglob("*.csv") if path.name != "decision_times.csv"]
    assert all("99_us" not in path.read_text(encoding="utf-8") for path in others)


def test_a_broken_contract_is_said_before_anything_runs(arena: Arena, tmp_path: Path) -> None:
    write_policy("keepalive", "mine", tmp_path)
    path = tmp_path / "mine.py"
    path.write_text(path.read_text().replace("view.now_s + min(", "view.now_s - min("))
    with pytest.raises(PolicyError, match=r"mine:Mine breaks the contract .* before now"):
        arena()
    assert not (tmp_path / "results").exists()


def test_a_key_sets_the_policy_s_own(arena: Arena, tmp_path: Path) -> None:
    out = arena(keys=("--max-s=0.5", "--chance=0.9"))
    assert "max_s = 0.5" in (out / "experiment.toml").read_text()
    with pytest.raises(ConfigError, match='did you mean "max_s"'):
        arena(keys=("--max=0.5",))


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        ({"by": "speed"}, "no order named"),
        ({"role": "keep"}, "no role named"),
        ({"policy": "no_such:Mine"}, "no module"),
        ({"policy": "fixd"}, 'did you mean "fixed"'),
        ({"policy": "fixed", "keys": ("5",)}, "--key=value"),
        ({"policy": "fixed", "keys": ("--idle_s=5,6",)}, "one value"),
    ],
)
def test_bad_input_is_refused(arena: Arena, arguments: dict[str, Any], fragment: str) -> None:
    with pytest.raises(ConfigError, match=fragment):
        arena(**arguments)


def test_a_policy_that_fits_no_run_of_the_role_is_named_and_left_out(
    arena: Arena, capsys: pytest.CaptureFixture[str]
) -> None:
    out = arena(role="routing", policy="idle-or-start", seeds=1)
    assert "round-robin" not in {row["policy"] for row in table(out / "ranking.csv")}
    assert "round-robin: 2 runs of serverless-lora failed with it" in capsys.readouterr().err


def test_each_answer_is_timed_and_unchanged() -> None:
    plain, watched = (make_policy("forecast", {"policy": "count-window"}, Path()) for _ in range(2))
    [function] = make_functions("llama-2-7b")
    took_ns = watch(watched, "forecast")
    for at_s in (1.0, 2.0, 3.0):
        plain.observe_arrival(function, at_s)
        watched.observe_arrival(function, at_s)
        assert watched.rate_per_s(function, at_s) == plain.rate_per_s(function, at_s)
    assert len(took_ns) == 3
    assert isinstance(watched, type(plain))


def test_frozen_and_slotted_policies_are_timed_as_well() -> None:
    @dataclass(frozen=True, slots=True)
    class Frozen:
        def preempt(self, at: Any, view: Any) -> int:
            return 7

    policy = Frozen()
    took_ns = watch(policy, "preemption")
    assert policy.preempt(None, None) == 7
    assert len(took_ns) == 1
