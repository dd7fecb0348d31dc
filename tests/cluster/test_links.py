"""Links divide their capacity, lose none of it while anything is under way, and re-rate as transfers come and go."""

from __future__ import annotations

from math import inf

import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from simlora.cluster.links import Discipline, Link, Transfer

Load = tuple[float, int]


def arrivals(loads: list[Load], *links: Link, cap_per_s: float = inf) -> list[float]:
    """When each load of (start, bytes) over all these links has arrived."""
    env, done = simpy.Environment(), [inf] * len(loads)

    def load(index: int, start_s: float, size_bytes: int) -> simpy.events.ProcessGenerator:
        yield env.timeout(start_s)
        arrived = env.event()
        Transfer(env, size_bytes, links, cap_per_s, arrived.succeed)
        yield arrived
        done[index] = env.now

    for index, (start_s, size_bytes) in enumerate(loads):
        env.process(load(index, start_s, size_bytes))
    env.run()
    assert not any(link.transfers for link in links)
    return done


def test_one_load_takes_bytes_over_capacity() -> None:
    assert arrivals([(1.0, 300)], Link("l", 100.0)) == pytest.approx([4.0])


def test_two_loads_share_a_fair_link_and_the_one_left_speeds_up() -> None:
    """Alone to 1 s (100 of 300 bytes), halved until the short one has its 100 at 3 s, then the last 100 alone."""
    assert arrivals([(0.0, 300), (1.0, 100)], Link("l", 100.0)) == pytest.approx([4.0, 3.0])


def test_loads_on_a_fifo_link_come_one_after_the_other() -> None:
    assert arrivals([(0.0, 300), (1.0, 100), (1.5, 50)], Link("l", 100.0, "fifo")) == pytest.approx([3.0, 4.0, 4.5])


def test_a_load_over_two_links_runs_at_the_least_of_them() -> None:
    assert arrivals([(0.0, 300)], Link("fast", 1000.0), Link("slow", 100.0)) == pytest.approx([3.0])
    assert arrivals([(0.0, 300)], Link("fast", 1000.0), cap_per_s=50.0) == pytest.approx([6.0])


def test_what_a_capped_load_leaves_is_not_given_to_others() -> None:
    """The stated assumption: each of two gets half, though one can use only a tenth."""
    env, link, done = simpy.Environment(), Link("l", 100.0), list[float]()
    for size_bytes, cap_per_s in ((10, 10.0), (100, inf)):
        Transfer(env, size_bytes, [link], cap_per_s, lambda: done.append(env.now))
    env.run()
    assert done == pytest.approx([1.0, 1.5])


def test_a_stopped_load_never_arrives_and_leaves_its_share_to_the_others() -> None:
    env, link, arrived = simpy.Environment(), Link("l", 100.0), list[str]()
    stopped = Transfer(env, 1000, [link], inf, lambda: arrived.append("stopped"))
    other = Transfer(env, 200, [link], inf, lambda: arrived.append("other"))
    env.run(until=2.0)
    assert (stopped.left_bytes(env.now), other.left_bytes(env.now)) == pytest.approx((900.0, 100.0))
    stopped.stop()
    env.run()
    assert env.now >= 3.0 - 1e-9
    assert arrived == ["other"]
    assert link.transfers == []


def test_the_backlog_is_what_is_left_over_the_capacity() -> None:
    env, link = simpy.Environment(), Link("l", 100.0, "fifo")
    for size_bytes in (300, 200):
        Transfer(env, size_bytes, [link], inf, lambda: None)
    assert link.backlog_s(env.now) == pytest.approx(5.0)
    env.run(until=2.0)
    assert link.backlog_s(env.now) == pytest.approx(3.0)


def test_an_empty_load_arrives_at_once() -> None:
    assert arrivals([(1.0, 0)], Link("l", 100.0)) == [1.0]


loads = st.lists(st.tuples(st.floats(0.0, 30.0), st.integers(1, 2000)), min_size=1, max_size=8)


@settings(derandomize=True, deadline=None)
@given(loads=loads, discipline=st.sampled_from(("fair", "fifo")))
def test_a_link_is_busy_for_bytes_over_capacity_whatever_the_order(loads: list[Load], discipline: Discipline) -> None:
    """It works at capacity as long as there is anything to do, so the last ends when a single queue would."""
    free_at_s = 0.0
    for start_s, size_bytes in sorted(loads):
        free_at_s = max(free_at_s, start_s) + size_bytes / 100.0
    done = arrivals(loads, Link("l", 100.0, discipline))
    assert max(done) == pytest.approx(free_at_s, rel=1e-9)
    assert all(
        end_s >= start_s + size_bytes / 100.0 - 1e-9 for end_s, (start_s, size_bytes) in zip(done, loads, strict=True)
    )


@settings(derandomize=True, deadline=None)
@given(loads=loads)
def test_first_come_is_first_there_on_a_fifo_link(loads: list[Load]) -> None:
    done = arrivals(loads, Link("l", 100.0, "fifo"))
    order = sorted(range(len(loads)), key=lambda i: (loads[i][0], i))
    assert [done[i] for i in order] == sorted(done)


@pytest.mark.parametrize("factor", [0.0, 0.25])
def test_a_link_that_changes_its_rate_re_rates_what_is_under_way(factor: float) -> None:
    """100 of 300 bytes by 1 s, then less or nothing for 4 s, then the rest."""
    env, link, arrived_s = simpy.Environment(), Link("l", 100.0), list[float]()
    Transfer(env, 300, [link], inf, lambda: arrived_s.append(env.now))
    env.timeout(1.0).callbacks.append(lambda _: link.set_rate(100.0 * factor))
    env.timeout(5.0).callbacks.append(lambda _: link.set_rate(100.0))
    env.run()
    assert arrived_s == pytest.approx([5.0 + 2.0 - 4.0 * factor])
