"""Law 8 holds whatever fails: bytes are conserved, nothing stays pinned, each request comes to exactly one end."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simlora.engine import RunRecord, Simulation
from simlora.results.breakdown import phases
from simlora.systems import list_systems
from simlora.testing.strategies import troubled

pytestmark = pytest.mark.usefixtures("no_hang")
LAW = settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
ENDS = {"finished", "rejected", "timed_out", "failed"}
STAMPS = ("arrived_s", "bound_s", "ready_s", "started_s", "first_token_s", "finished_s")


def assert_nothing_is_pinned(simulation: Simulation) -> None:
    cluster, env = simulation.cluster, simulation.env
    while env.peek() <= env.now:  # the last request may have been failed by another than the process that had it
        env.step()
    cluster.check_bytes()
    for gpu in cluster.every_gpu:
        assert gpu.active_batches == 0
        assert not (gpu.lost and (gpu.memory.used_bytes or gpu.instances or gpu.backbones or gpu.containers))
        for process in gpu.backbones.values():
            assert process.active == 0
            assert set(process.mappers) <= set(gpu.instances)
        for instance in gpu.instances.values():
            assert not any((instance.bound, instance.running, instance.held, instance.prefilling))
            assert instance.held_bound_bytes == 0
    assert all(cluster.running(function) == 0 for function in cluster.functions)
    assert all(not queues.by_function for queues in (cluster.front, cluster.held_back))


def assert_each_has_one_end(simulation: Simulation, rows: list[dict[str, object]]) -> None:
    assert len(rows) == len(simulation.workload)
    for row in rows:
        assert row["outcome"] in ENDS
        stamps = [row[name] for name in STAMPS]
        if row["outcome"] == "finished":
            assert stamps == sorted(stamps)  # type: ignore[type-var]
            assert row["cold"] or row["ready_s"] == row["bound_s"]
        else:
            assert all(np.isnan(stamps[3:]))  # type: ignore[arg-type]
            assert row["instance"] == row["gpu"] == -1


def assert_phases_add_up(record: RunRecord) -> None:
    """What was lost is part of the wait, never more than all of it."""
    done = record.requests.filter(pc.equal(record.requests["outcome"], "finished"))
    each = phases(done, record.events)
    for seconds in each.values():
        assert (seconds >= -1e-9).all()
    e2e_s = np.asarray(done["finished_s"]) - np.asarray(done["arrived_s"])
    assert sum(each.values()) == pytest.approx(e2e_s)


@pytest.mark.parametrize("system", list_systems())
@LAW
@given(data=st.data())
def test_bytes_ends_and_times_are_as_they_must_be_whatever_fails(system: str, data: st.DataObject) -> None:
    scenario = data.draw(troubled((system,)))
    simulation = scenario.simulation()
    record = simulation.run()
    assert_nothing_is_pinned(simulation)
    assert_each_has_one_end(simulation, record.requests.to_pylist())
    assert_phases_add_up(record)
