"""The arena is an experiment: what ships for it makes a file that reads, resolves and builds its traffic."""

from __future__ import annotations

from pathlib import Path

import pytest

from simlora.arena.template import (
    BOUND,
    HERE,
    experiment,
    name_of_yours,
    references,
    ring_of,
    scenarios,
    write_experiment,
)
from simlora.errors import ConfigError
from simlora.policies.base import ROLES
from simlora.policies.registry import policies_of
from simlora.study.experiment import read_study
from simlora.study.grid import build_grid
from simlora.study.regime import survey


def test_the_scenarios_are_the_six_that_are_promised() -> None:
    assert len(scenarios()) == 6
    assert all(table["why"] for table in scenarios().values())
    assert sorted(path.stem for path in (HERE / "scenarios").iterdir()) == list(scenarios())


@pytest.mark.parametrize("role", ROLES)
def test_every_registered_policy_of_a_role_is_in_its_experiment(role: str, tmp_path: Path) -> None:
    first = next(iter(policies_of(role)))
    path = write_experiment(experiment(role, {"policy": first}, 1), tmp_path)
    grid = build_grid(read_study(path))
    systems = grid.systems["base"]
    assert list(systems) == [name_of_yours(first), *policies_of(role), BOUND]
    for name in policies_of(role):
        assert getattr(systems[name].config, role)["policy"] == name
    base = build_grid(read_study(path)).systems["base"][first].config
    for other in ROLES:
        if other != role:
            assert {getattr(own.config, other)["policy"] for name, own in systems.items() if name != BOUND} == {
                getattr(base, other)["policy"]
            }


def test_the_policy_that_the_system_uses_itself_keeps_its_keys(tmp_path: Path) -> None:
    path = write_experiment(experiment("keepalive", {"policy": "fixed", "idle_s": 5.0}, 1), tmp_path)
    systems = build_grid(read_study(path)).systems["base"]
    assert systems["fixed"].config.keepalive == {"policy": "fixed", "idle_s": 60.0}
    assert systems["fixed (yours)"].config.keepalive == {"policy": "fixed", "idle_s": 5.0}


def test_traffic_of_every_scenario_can_be_built(tmp_path: Path) -> None:
    grid = build_grid(read_study(write_experiment(experiment("forecast", {"policy": "count-window"}, 2), tmp_path)))
    requests = {traffic.group[0]: traffic.requests for traffic in survey(grid)}
    assert list(requests) == list(scenarios())
    assert all(300 < count < 6000 for count in requests.values()), requests


def test_a_role_may_ask_for_other_traffic() -> None:
    plain = {table["name"]: table for table in experiment("forecast", {"policy": "x"}, 1)["scenario"]}
    more = {table["name"]: table for table in experiment("preemption", {"policy": "x"}, 1)["scenario"]}
    times = ring_of("preemption").traffic["rate_scale"]
    for name, table in plain.items():
        assert more[name]["rate_scale"] == pytest.approx(times * table["rate_scale"])
        assert more[name]["trace"] == table["trace"]


def test_references_are_those_that_are_told_the_future() -> None:
    assert references("forecast") == ["clairvoyant-rate", "clairvoyant-noisy-rate"]
    assert references("routing") == []


def test_a_role_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigError, match='did you mean "preloading"'):
        ring_of("preload")
