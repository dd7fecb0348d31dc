"""Law 11: to have something off is to choose a policy that does nothing; the engine knows no such case."""

from __future__ import annotations

from typing import Any

import pytest

from simlora.policies.registry import policies_of
from simlora.systems import list_systems
from simlora.systems.config import SystemConfig
from simlora.testing.scenario import Scenario, make_functions, make_workload

pytestmark = pytest.mark.usefixtures("no_hang")

OFF = {"preloading": "none", "rebalancing": "none", "offloading": "none", "scaling": "on-demand"}
NEVER_ENDS = {"keepalive": "forever"}
ENDS_AT_ONCE = {"keepalive": "none"}
ROWS = [(0.0, 0, 100, 10), (0.5, 1, 100, 10), (200.0, 0, 100, 10), (200.1, 1, 100, 10)]


@pytest.mark.parametrize(("role", "name"), [*OFF.items(), *NEVER_ENDS.items(), *ENDS_AT_ONCE.items()])
def test_every_role_that_can_be_off_has_a_policy_that_is(role: str, name: str) -> None:
    assert name in policies_of(role)


def test_what_a_system_leaves_out_is_off() -> None:
    fields = SystemConfig.model_fields
    for role, name in {**OFF, "preloading": "none"}.items():
        assert fields[role].default == {"policy": name}


def run(system: str, **overrides: Any) -> Any:
    return Scenario(system, make_functions("llama-2-7b", "llama-2-7b"), make_workload(ROWS), overrides).run()


@pytest.mark.parametrize("system", ["serverless-lora", "insta-infer"])
def test_with_all_of_them_off_every_start_is_on_demand_and_nothing_leaves_but_by_keep_alive(system: str) -> None:
    record = run(system, **OFF, **ENDS_AT_ONCE)
    assert record.requests["outcome"].to_pylist() == ["finished"] * 4
    assert all(record.requests["cold"].to_pylist())
    events = record.events.to_pylist()
    assert all(row["on_demand"] for row in events if row["kind"] in ("instance_started", "stage_finished"))
    assert {row["why"] for row in events if row["kind"] == "instance_stopped"} == {"keep-alive is over"}


@pytest.mark.parametrize("system", list_systems())
def test_what_is_kept_for_ever_is_never_cold_again(system: str) -> None:
    instead: dict[str, dict[str, Any]] = {
        "vllm": {"preloading": "always-on"},
        "hydraserve": {"scaling": "queue-based"},
        "serverless-llm": {"scaling": "ongoing", "limits.instances_per_gpu": 2},
    }
    record = run(system, **{**OFF, **NEVER_ENDS, **instead.get(system, {})})
    assert record.requests["cold"].to_pylist()[2:] == [False, False]
    assert "instance_stopped" not in record.events["kind"].to_pylist()
