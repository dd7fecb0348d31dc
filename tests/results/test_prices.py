"""What the shipped lists cost per card, and what a list that does not say enough is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from simlora.errors import ConfigError
from simlora.results.prices import Price, choose_prices, list_prices, load_price

HOURLY_USD = [
    # list, GPU, GB of the card under a list by GB, active and idle USD per card-hour as published
    ("alibaba-fc-2024-08", "l40s", 48, 5.184, 0.864),
    ("alibaba-fc-2024-08", "a100-sxm-80gb", 80, 4.2e-5 * 80 * 3600, 1.0e-5 * 80 * 3600),
    ("alibaba-fc-2024-08-promotion", "l40s", 48, 5.184 * 0.8, 0.864 * 0.8),
    ("ec2-on-demand-2026", "l40s", 1, 3.7665, 3.7665),
    ("ec2-on-demand-2026", "a100-sxm-80gb", 1, 3.431, 3.431),
    ("ec2-on-demand-2026", "h100-sxm", 1, 6.88, 6.88),
    ("ec2-on-demand-2026", "h200-sxm", 1, 7.912, 7.912),
    ("runpod-2026", "l40s", 1, 1.908, 1.908),
    ("runpod-2026", "h200-sxm", 1, 5.58, 5.58),
    ("modal-2026-05", "l40s", 1, 1.951, 1.951),
    ("modal-2026-05", "h100-sxm", 1, 0.001097 * 3600, 0.001097 * 3600),
]


@pytest.mark.parametrize(("name", "gpu", "gb", "active", "idle"), HOURLY_USD)
def test_a_card_costs_per_hour_what_was_published(name: str, gpu: str, gb: int, active: float, idle: float) -> None:
    rate = load_price(name).gpu(gpu)
    assert rate.active_usd_per_s * gb * 3600 == pytest.approx(active, rel=1e-3)
    assert rate.idle_usd_per_s * gb * 3600 == pytest.approx(idle, rel=1e-3)


def test_every_shipped_list_says_where_and_when_it_comes_from() -> None:
    prices = list_prices()
    assert list(prices) == sorted(prices)
    assert {price.kind for price in prices.values()} == {"serverless", "reserved"}
    for price in prices.values():
        assert price.source
        assert price.valid
        assert "://" not in price.source


def test_invocations_cost_as_published() -> None:
    price = load_price("alibaba-fc-2024-08")
    assert price.credits_per_request * price.credit_usd * 10_000 == pytest.approx(1.5e-3)


def test_a_gpu_without_a_price_is_answered_with_those_that_have_one() -> None:
    with pytest.raises(ConfigError, match='no price for GPU "h200-sxm"; it has: a100-sxm-80gb, h100-sxm, l40s'):
        load_price("modal-2026-05").gpu("h200-sxm")


def test_names_that_do_not_exist_are_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r'no price list named "alibaba-fc"; did you mean "alibaba-fc-2024-08'):
        load_price("alibaba-fc")
    with pytest.raises(ConfigError, match=r"mine.toml: No such file"):
        load_price("mine.toml", tmp_path)
    (tmp_path / "mine.toml").write_text('base = "runpod"')
    with pytest.raises(ConfigError, match=r'mine.toml: no price list named "runpod"; did you mean "runpod-2026"'):
        load_price("mine.toml", tmp_path)


def test_ones_own_list_may_state_only_what_differs(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('base = "runpod-2026"\ntitle = "mine"\nstartup_billed = false')
    mine, theirs = load_price("mine.toml", tmp_path), load_price("runpod-2026")
    assert not mine.startup_billed
    assert mine.gpus == theirs.gpus


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("granularity_s = -1.0", "granularity_s: .*greater than or equal to 0"),
        ("granularty_s = 1.0", r'no key "granularty_s"; did you mean "granularity_s"'),
        ('kind = "spot"', "kind: .*'serverless' or 'reserved'.*found 'spot'"),
        ("gpus.l40s = { activ = 1.0 }", "gpus.l40s"),
        ('shared_backbone = "nobody"', "'platform', 'split' or 'separate'"),
    ],
)
def test_a_list_that_does_not_fit_names_file_and_key(tmp_path: Path, line: str, says: str) -> None:
    (tmp_path / "mine.toml").write_text(f'base = "runpod-2026"\n{line}')
    with pytest.raises(ConfigError, match=f"mine.toml: .*{says}"):
        load_price("mine.toml", tmp_path)


def test_a_system_is_billed_by_the_first_list_of_its_kind() -> None:
    names = ["ec2-on-demand-2026", "modal-2026-05", "runpod-2026"]
    prices: list[Price] = [load_price(name) for name in names]
    assert choose_prices(prices, "serverless") == [(prices[1],)]
    assert choose_prices(prices, "always-on") == [(prices[0],)]
    assert choose_prices(prices, "cheapest") == [(prices[1],), (prices[0],)]
    assert choose_prices(prices, "reserved-plus-serverless") == [(prices[0], prices[1])]
    with pytest.raises(
        ConfigError, match=r'always-on systems need a list of kind "reserved".*shipped: ec2-on-demand-2026'
    ):
        choose_prices(prices[1:], "always-on")
