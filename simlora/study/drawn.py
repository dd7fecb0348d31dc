"""After a run with drawn profiles: how far figures move from seed to seed, and how far with errors of the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from simlora.results.statistics import mean_interval
from simlora.study.tables import COMPARED, Row, interval_text

if TYPE_CHECKING:
    from rich.table import Table

KEY = "cluster.model_draw"
AS_FITTED, MODEL_RANGE = 0, (0.05, 0.95)


def sweep_of(draws: int) -> str:
    """The setting that runs the profile as fitted and so many drawn ones."""
    return f"{KEY}={','.join(map(str, range(draws + 1)))}"


def draw_of(row: Row) -> int:
    """Which draw a row of the summary is of."""
    values = dict(part.partition("=")[::2] for part in str(row["point"]).split(","))
    return int(values.get(KEY, AS_FITTED))


def without_drawn(rows: Sequence[Row]) -> list[Row]:
    """The rows of the profile as fitted."""
    return [row for row in rows if draw_of(row) == AS_FITTED]


def model_tables(rows: Sequence[Row]) -> Iterator[Table]:
    """Per scenario and other sweep point: each figure as fitted, its interval over seeds, its range over the draws."""
    groups: dict[str, dict[str, dict[int, list[Row]]]] = {}
    for row in rows:
        others = [part for part in str(row["point"]).split(",") if not part.startswith(KEY) and part != "base"]
        systems = groups.setdefault(", ".join([row["scenario"], *others]), {})
        systems.setdefault(row["system"], {}).setdefault(draw_of(row), []).append(row)
    if any(len(draws) > 1 for systems in groups.values() for draws in systems.values()):
        yield from (_table(title, systems) for title, systems in groups.items())


def _table(title: str, systems: dict[str, dict[int, list[Row]]]) -> Table:
    from rich.table import Table

    count = max(len(draws) for draws in systems.values()) - 1
    caption = f"seeds: 95 % interval of the mean; model: 5th to 95th percentile of the mean over {count} drawn profiles"
    table = Table(title=f"{title}: seeds and model apart", caption=caption)
    table.add_column("")
    for shown in COMPARED:
        table.add_column(shown.title, justify="right")
    for system, draws in systems.items():
        seeds, models = [], []
        for shown in COMPARED:
            means = {draw: mean_interval([shown.value(row) for row in own]) for draw, own in draws.items()}
            seeds.append(interval_text(means[AS_FITTED], shown.form))
            drawn = [mean.estimate for draw, mean in means.items() if draw != AS_FITTED]
            low, high = np.quantile(drawn, MODEL_RANGE)
            fitted = means[AS_FITTED]._replace(low=float(low), high=float(high))
            models.append(interval_text(fitted, shown.form))
        table.add_row(f"{system}, seeds", *seeds)
        table.add_row(f"{system}, model", *models)
    return table
