"""Runs with drawn profiles: their own interval, beside that of the seeds and out of the other tables."""

from __future__ import annotations

from typing import Any

import pytest

from simlora.cluster.config import ClusterConfig
from simlora.cluster.machines import load_machines
from simlora.study.drawn import draw_of, model_tables, sweep_of, without_drawn
from simlora.study.overrides import parse_setting
from simlora.study.tables import COMPARED


def row(point: str, seed: int, value: float) -> dict[str, Any]:
    metrics = ("ttft_mean_s", "ttft_p99_s", "slo_attainment", "cost_usd", "cost_effectiveness")
    return {"scenario": "s", "system": "a", "point": point, "seed": seed} | dict.fromkeys(metrics, value)


ROWS = [
    row(f"cluster.nodes=2,cluster.model_draw={draw}", seed, draw + seed / 10) for draw in range(11) for seed in (1, 2)
]


def test_the_setting_sweeps_over_the_fit_and_its_draws() -> None:
    assert parse_setting(sweep_of(3)) == ("cluster.model_draw", (0, 1, 2, 3))


@pytest.mark.parametrize(("point", "draw"), [("base", 0), ("cluster.model_draw=7,seeds=1", 7), ("cluster.nodes=2", 0)])
def test_a_row_tells_its_draw(point: str, draw: int) -> None:
    assert draw_of(row(point, 1, 0.0)) == draw


def test_intervals_of_seeds_and_of_the_model_stand_apart() -> None:
    [table] = model_tables(ROWS)
    assert str(table.title).startswith("s, cluster.nodes=2")
    assert list(table.columns[0].cells) == ["a, seeds", "a, model"]
    seeds, model = table.columns[1].cells
    assert str(seeds).startswith("0.15")
    assert str(model).startswith("0.15")
    assert "1.60 to 9.70" in str(model)
    assert len(table.columns) == 1 + len(COMPARED)


def test_other_tables_are_of_the_profile_as_fitted() -> None:
    assert without_drawn(ROWS) == ROWS[:2]
    assert list(model_tables(ROWS[:2])) == []


def test_a_cluster_with_a_draw_has_machines_of_that_draw() -> None:
    fitted, drawn = (
        load_machines(ClusterConfig(model_draw=n), "l40s", "hf-eager")[0].profile.kernels.linear for n in (0, 1)
    )
    assert fitted.values != drawn.values
