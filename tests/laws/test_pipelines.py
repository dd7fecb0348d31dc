"""Pipelines break no law: bytes are conserved and accounted for, each request has one end, merged equals stepwise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simlora.cluster.config import ClusterConfig
from simlora.cluster.memory import AccountingError
from simlora.cluster.pipelines import Pipeline
from simlora.engine.pipelines import Pipelines
from simlora.engine.usage import Usage
from simlora.latency import load_backbone
from simlora.testing.scenario import Scenario, make_functions, make_workload
from simlora.testing.strategies import troubled

pytestmark = pytest.mark.usefixtures("no_hang")
LAW = settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
KEEPS = ({"policy": "fixed", "idle_s": 3.0}, {"policy": "rainbowcake", "min_s": 3.0}, "forever", "none")
TABLES = ("requests", "usage")


@st.composite
def pipelined(draw: st.DrawFn) -> Scenario:
    """Checkpoints in the remote store, nodes enough, and SLOs for which the rule takes several of them; some fail."""
    scenario = draw(troubled(("hydraserve",)))
    overrides = {key: value for key, value in scenario.overrides.items() if key != "sharing"}
    overrides["placement"] = {"policy": "nic-aware", "setup_s": 0.0}
    overrides["keepalive"] = draw(st.sampled_from(KEEPS))
    slo_s = draw(st.sampled_from((3.0, 5.0, 9.0)))
    cluster = ClusterConfig(
        nodes=draw(st.integers(2, 4)),
        gpus_per_node=draw(st.integers(1, 2)),
        checkpoints="remote",
        contention=scenario.cluster.contention,
    )
    return replace(
        scenario,
        overrides=overrides,
        cluster=cluster,
        functions=[replace(function, slo_ttft_s=slo_s) for function in scenario.functions],
        failures=draw(st.sampled_from((scenario.failures, ()))),
    )


def watch_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever helpers are let go they must hold their shares of the KV that is held then."""
    let_go = Pipelines._let_go

    def watched(self: Pipelines, pipeline: Pipeline, why: str) -> None:
        shares = [helper.kv_bytes for helper in pipeline.helpers]
        assert shares == [-(-pipeline.main.kv_bytes // pipeline.parts)] * len(shares)
        assert pipeline.main.pipeline is pipeline
        let_go(self, pipeline, why)

    monkeypatch.setattr(Pipelines, "_let_go", watched)


@LAW
@given(scenario=pipelined())
def test_bytes_ends_and_steps_are_as_they_must_be(scenario: Scenario) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        watch_shares(monkeypatch)
        simulation = scenario.simulation()
        record = simulation.run()
    cluster, env = simulation.cluster, simulation.env
    while env.peek() <= env.now:
        env.step()
    cluster.check_bytes()
    for gpu in cluster.every_gpu:
        assert gpu.active_batches == 0
        for instance in gpu.instances.values():
            assert not any((instance.bound, instance.running, instance.held))
            assert instance.pipeline is None or not instance.pipeline.gathered, "it serves alone at the next boundary"
    assert "unfinished" not in record.requests["outcome"].to_pylist()
    stepwise = scenario.run(stepwise=True)
    for table in TABLES:
        assert getattr(stepwise, table).to_pandas().equals(getattr(record, table).to_pandas()), table


def busy_pipelines() -> Scenario:
    """Twelve models on four nodes, called so close to each other that pipelines cross, and some for a moment only."""
    sizes = [load_backbone(name) for name in ("llama-2-7b", "llama-2-13b")]
    backbones = [replace(sizes[n % 2], name=f"{sizes[n % 2].name}-{n}") for n in range(12)]
    rows = [(3.0 * n, n, 300, 3 if n % 3 else 300) for n in range(12)]
    overrides = {"keepalive": {"policy": "fixed", "idle_s": 0.5}}
    cluster = ClusterConfig(nodes=4, gpus_per_node=1, checkpoints="remote")
    return Scenario("hydraserve", make_functions(*backbones, slo_ttft_s=9.0), make_workload(rows), overrides, cluster)


def account_for_all(byte_seconds: dict[str, float], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kinds of its events, once every byte-second of a GPU is in a row of usage and all shares were held."""
    watch_shares(monkeypatch)
    simulation = busy_pipelines().simulation()
    record = simulation.run()
    for gpu in simulation.cluster.gpus:
        gpu.memory.give(0)
        rows = [row for row in record.usage.to_pylist() if row["gpu"] == gpu.index]
        told = sum(row["device_bytes"] * (row["to_s"] - row["from_s"]) for row in rows)
        assert told == pytest.approx(byte_seconds[gpu.memory.name], rel=1e-9)
        assert gpu.memory.used_bytes == gpu.active_batches == 0
    return list(record.events["kind"].to_pylist())


def test_usage_accounts_for_every_byte_second_of_helpers(
    byte_seconds: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = account_for_all(byte_seconds, monkeypatch)
    assert kinds.count("pipeline_formed") > kinds.count("pipeline_gathered") > 0


ACCOUNT, SERVE_ALONE = Usage.account, Pipelines.serve_alone


def still_counted(self: Pipelines, pipeline: Pipeline) -> None:
    """Serves alone, its batch still counted where the helpers were."""
    for helper in pipeline.helpers:
        helper.gpu.active_batches += 1
    SERVE_ALONE(self, pipeline)


FAULTS: dict[str, tuple[type, str, Callable[..., None]]] = {
    "shares of KV stay": (Pipeline, "drop_kv", lambda self: None),
    "shares of KV are not taken": (Pipeline, "share_kv", lambda self: None),
    "helpers are not billed": (Usage, "account", lambda self, i: None if i.helps else ACCOUNT(self, i)),
    "batches are still counted": (Pipelines, "serve_alone", still_counted),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_laws_reject_a_fault(fault: str, byte_seconds: dict[str, float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*FAULTS[fault])
    with pytest.raises((AssertionError, AccountingError)):
        account_for_all(byte_seconds, monkeypatch)
