"""Bills worked by hand under each shipped list, and the laws any bill obeys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlora.errors import ConfigError
from simlora.results.billing import bill
from simlora.results.prices import Price, load_price

Build = Callable[..., pa.Table]
GB = 1 << 30
ALIBABA, EC2, RUNPOD, MODAL = (
    load_price(name) for name in ("alibaba-fc-2024-08", "ec2-on-demand-2026", "runpod-2026", "modal-2026-05")
)
GPUS = ["l40s"] * 8


def row(state: str, from_s: float, to_s: float, gb: float = 16, **rest: Any) -> dict[str, Any]:
    return {"state": state, "from_s": from_s, "to_s": to_s, "device_bytes": int(gb * GB), **rest}


def changed(price: Price, **keys: Any) -> Price:
    return price.model_copy(update=keys)


@pytest.fixture(scope="module")
def life(usage_of: Build) -> pa.Table:
    """10 s of start-up, 5.5 s of work, 60 s of waiting; 16 GB of a card and 8 GB of memory."""
    spans = [("starting", 0.0, 10.0), ("busy", 10.0, 15.5), ("idle", 15.5, 75.5)]
    return usage_of(*(row(*span, host_bytes=8 * GB) for span in spans))


def test_alibaba_by_hand(life: pa.Table) -> None:
    found = bill(life, ALIBABA, GPUS, 4, 100.0, "serverless")
    assert found.startup_usd == pytest.approx(10 * 16 * 3e-5)
    assert found.gpu_active_usd == pytest.approx(5.5 * 16 * 3e-5)
    assert found.gpu_idle_usd == pytest.approx(60.5 * 16 * 5e-6)  # 75.5 s are billed as 76
    assert found.host_usd == pytest.approx(76 * 8 * 3e-6 + 15.5 * 2 * 2e-5)
    assert found.requests_usd == pytest.approx(4 * 1.5e-7)
    assert found.total_usd == pytest.approx(sum(astuple(found)))


def test_gpu_time_is_nine_tenths_of_an_invocation_as_published(usage_of: Build) -> None:
    usage = usage_of(row("busy", 0, 60, gb=16, host_bytes=4 * GB))
    found = bill(usage, ALIBABA, GPUS, 1, 100.0, "serverless")
    assert found.gpu_active_usd / found.total_usd == pytest.approx(0.9, abs=0.01)


def test_runpod_bills_a_card_once_whoever_shares_it(usage_of: Build) -> None:
    usage = usage_of(
        row("busy", 0, 10.2, id=0),
        row("idle", 2, 20.2, id=1),
        row("busy", 0, 5.5, id=2, gpu=1),
        row("idle", 0, 9, holder="backbone", id=0, gpu=1),
    )
    found = bill(usage, RUNPOD, GPUS, 9, 100.0, "serverless")
    assert found.gpu_active_usd == pytest.approx((10.2 + 5.5) * 0.00053)
    assert found.gpu_idle_usd == pytest.approx((10.8 + 3.5) * 0.00053)  # 20.2 s are billed as 21
    assert found.total_usd == pytest.approx(30 * 0.00053)


def test_modal_adds_a_core(usage_of: Build) -> None:
    found = bill(usage_of(row("busy", 0, 7200)), MODAL, ["h100-sxm"] * 8, 1, 7200.0, "serverless")
    assert found.total_usd == pytest.approx(2 * 3.949 + 7200 * 1.31e-5)


def test_ec2_bills_reserved_cards_to_the_end_of_the_window(usage_of: Build) -> None:
    reserved = [row("reserved", 0, 1800, gb=48, holder="gpu", id=g, gpu=g) for g in range(4)]
    working = row("busy", 0, 1800)
    found = bill(usage_of(*reserved, working), EC2, GPUS, 1, 3600.0, "always-on")
    assert found.total_usd == found.gpu_active_usd == pytest.approx(15.066)


def test_ec2_bills_a_minute_at_least(usage_of: Build) -> None:
    found = bill(usage_of(row("reserved", 0, 5, holder="gpu")), EC2, GPUS, 1, 5.0, "always-on")
    assert found.total_usd == pytest.approx(15.066 / 4 / 60)


def test_each_life_is_rounded_on_its_own(usage_of: Build) -> None:
    usage = usage_of(row("busy", 0, 0.5), row("busy", 1.0, 1.2), row("busy", 1.2, 1.3, id=0), row("busy", 0, 0.1, id=1))
    plain = changed(ALIBABA, host=ALIBABA.host.model_copy(update={"cpus_per_instance": 0.0}))
    assert bill(usage, plain, GPUS, 0, 9.0, "serverless").total_usd == pytest.approx(3 * 16 * 3e-5)


def test_rounding_does_not_charge_a_second_for_noise(usage_of: Build) -> None:
    assert 2.2 - 1.2 > 1.0
    usage = usage_of(row("busy", 1.2, 2.2))
    assert bill(usage, ALIBABA, GPUS, 0, 9.0, "serverless").gpu_active_usd == pytest.approx(16 * 3e-5)


def test_a_backbone_process_pays_for_memory_but_needs_no_processor(usage_of: Build) -> None:
    usage = usage_of(row("busy", 0, 10, holder="backbone", host_bytes=4 * GB))
    assert bill(usage, ALIBABA, GPUS, 0, 90.0, "serverless").host_usd == pytest.approx(10 * 4 * 3e-6)


def test_a_card_that_already_holds_something_is_billed_while_another_starts_for_free(usage_of: Build) -> None:
    free = changed(RUNPOD, startup_billed=False)
    starting = row("starting", 0, 10)
    held = row("idle", 4, 10, holder="backbone")
    assert bill(usage_of(starting), free, GPUS, 0, 90.0, "serverless").total_usd == 0.0
    assert bill(usage_of(starting, held), free, GPUS, 0, 90.0, "serverless").gpu_idle_usd == pytest.approx(6 * 0.00053)


def test_start_up_is_free_where_the_list_says_so(life: pa.Table) -> None:
    for price in (changed(ALIBABA, startup_billed=False), changed(RUNPOD, startup_billed=False)):
        found = bill(life, price, GPUS, 0, 100.0, "serverless")
        with_start = bill(life, changed(price, startup_billed=True), GPUS, 0, 100.0, "serverless")
        assert found.startup_usd == 0.0 < with_start.startup_usd
        assert found.gpu_active_usd == with_start.gpu_active_usd


def test_who_pays_for_a_shared_backbone(usage_of: Build) -> None:
    usage = usage_of(
        row("idle", 0, 10, gb=12, holder="backbone", function=""),
        row("busy", 10, 30, gb=12, holder="backbone", function=""),
        row("busy", 10, 30, gb=1, id=0),
        row("idle", 20, 30, gb=1, id=1),
    )
    paid = {
        who: bill(usage, changed(ALIBABA, shared_backbone=who), GPUS, 0, 30.0, "serverless").backbone_usd
        for who in ("platform", "separate", "split")
    }
    active, idle = 3e-5, 5e-6
    assert paid["platform"] == 0.0
    assert paid["separate"] == pytest.approx(12 * (10 * idle + 20 * active))
    assert paid["split"] == pytest.approx(12 * (10 * active + 10 * (active + idle) / 2))


def test_usage_beyond_the_window_is_not_billed(life: pa.Table) -> None:
    found = bill(life, ALIBABA, GPUS, 0, 12.0, "serverless")
    assert (found.gpu_idle_usd, found.gpu_active_usd) == (0.0, pytest.approx(2 * 16 * 3e-5))


def test_a_list_of_the_other_kind_is_refused(life: pa.Table) -> None:
    with pytest.raises(ConfigError, match=r'AWS EC2.*kind "reserved" can\'t bill serverless'):
        bill(life, EC2, GPUS, 0, 10.0, "serverless")
    with pytest.raises(ConfigError, match="can't bill always-on"):
        bill(life, MODAL, GPUS, 0, 10.0, "always-on")


times = st.floats(0, 100).map(lambda s: round(s, 3))
lives = st.lists(
    st.tuples(
        st.integers(0, 3), st.sampled_from(["instance", "backbone"]), times, times, st.integers(0, 48),
        st.sampled_from(["starting", "busy", "idle"]),
    ),
    max_size=8,
)  # fmt: skip
lists = st.builds(
    changed,
    st.sampled_from([ALIBABA, RUNPOD, MODAL]),
    startup_billed=st.booleans(),
    granularity_s=st.sampled_from([0.0, 0.1, 1.0, 60.0]),
    minimum_s=st.sampled_from([0.0, 30.0]),
    shared_backbone=st.sampled_from(["platform", "split", "separate"]),
)


def rows_of(lives: list[tuple[int, str, float, float, int, str]]) -> list[dict[str, Any]]:
    return [
        row(state, min(a, b), max(a, b), gb, id=i, gpu=gpu, holder=holder, host_bytes=GB)
        for i, (gpu, holder, a, b, gb, state) in enumerate(lives)
    ]


@given(lives=lives, price=lists, at=st.floats(0.01, 0.99))
def test_cutting_rows_in_two_changes_nothing(
    lives: list[tuple[int, str, float, float, int, str]], price: Price, at: float, usage_of: Build
) -> None:
    whole = rows_of(lives)
    cut = []
    for one in whole:
        middle = one["from_s"] + at * (one["to_s"] - one["from_s"])
        cut += [{**one, "to_s": middle}, {**one, "from_s": middle}]
    bills = [bill(usage_of(*rows), price, GPUS, 3, 90.0, "serverless") for rows in (whole, cut)]
    assert astuple(bills[1]) == pytest.approx(astuple(bills[0]))


@given(
    lives=lives,
    price=lists,
    key=st.sampled_from(["credit_usd", "active_credits", "idle_credits"]),
    factor=st.floats(1.0, 10.0),
)
def test_a_dearer_list_never_bills_less(
    lives: list[tuple[int, str, float, float, int, str]], price: Price, key: str, factor: float, usage_of: Build
) -> None:
    rate = price.gpus["l40s"]
    if key == "credit_usd":
        dearer = changed(price, credit_usd=price.credit_usd * factor)
    else:
        before = rate.active_credits if rate.idle_credits is None or key == "active_credits" else rate.idle_credits
        dearer = changed(price, gpus={"l40s": rate.model_copy(update={key: before * factor})})
    usage = usage_of(*rows_of(lives))
    before_usd, after_usd = (bill(usage, p, GPUS, 3, 90.0, "serverless").total_usd for p in (price, dearer))
    assert after_usd >= before_usd - 1e-12


@given(price=lists)
def test_nothing_used_costs_nothing(price: Price, usage_of: Build) -> None:
    for usage in (usage_of(), usage_of(row("busy", 3, 3)), usage_of(row("busy", 95, 99))):
        assert bill(usage, price, GPUS, 0, 90.0, "serverless").total_usd == 0.0


@given(lives=lives, price=lists)
def test_a_bill_does_not_depend_on_the_order_of_rows(
    lives: list[tuple[int, str, float, float, int, str]], price: Price, usage_of: Build
) -> None:
    rows = rows_of(lives)
    there, back = (bill(usage_of(*order), price, GPUS, 0, 90.0, "serverless") for order in (rows, rows[::-1]))
    assert astuple(there) == pytest.approx(astuple(back))
