"""With how few GPUs an always-on system does as well as the best serverless one.

Reserved GPUs cost the same whether they are needed or not, so a serverful system shown only with all GPUs of the
cluster would look dearer than an operator would make it. For each scenario and sweep point the fewest GPUs are searched
with which its mean SLO attainment over the same seeds is at least that of the best serverless system there. The search
is a bisection: it takes attainment not to fall with more GPUs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from simlora.results.metrics import met_slo
from simlora.study.grid import Cell, Grid
from simlora.study.runner import Runner
from simlora.study.store import Store


def attainment(store: Store, cell: Cell) -> float:
    """SLO attainment of a finished run."""
    import pyarrow.parquet as pq

    met = met_slo(pq.read_table(store.folder(cell) / "requests.parquet"), cell.functions)
    return float(met.mean()) if len(met) else 1.0


def add_fewest(grid: Grid, finished: Sequence[Cell], runner: Runner, say: Callable[[str], None]) -> list[Cell]:
    """Search for every always-on system, scenario and point; returns the cells of the numbers found."""
    added: list[Cell] = []
    places = dict.fromkeys((cell.scenario, cell.point) for cell in grid.cells)
    for scenario, point in places:
        here = [cell for cell in finished if (cell.scenario, cell.point) == (scenario, point)]
        target = _best_serverless(runner.store, here)
        for name, system in grid.systems[point].items():
            own = [cell for cell in here if cell.system == name]
            if target is None or not system.fewest or len(own) < len(grid.study.experiment.seed_list):
                continue
            found = _search(own, target[1], runner)
            if found is None:
                say(f"{name}, {scenario}, {point}: even with all GPUs it misses more SLOs than {target[0]}")
            added += found or []
    return added


def _best_serverless(store: Store, cells: Sequence[Cell]) -> tuple[str, float] | None:
    """The serverless system with the highest mean attainment, and that mean."""
    by_system: dict[str, list[float]] = {}
    for cell in cells:
        if cell.config.billing == "serverless":
            by_system.setdefault(cell.system, []).append(attainment(store, cell))
    means = {name: sum(values) / len(values) for name, values in by_system.items()}
    return max(means.items(), key=lambda item: item[1], default=None)


def _search(cells: Sequence[Cell], target: float, runner: Runner) -> list[Cell] | None:
    """The runs with the fewest GPUs that reach ``target``; none if all GPUs do not, or fewer fail to run."""
    first = cells[0]
    most = first.config.limits.gpus or first.cluster.gpus
    if _mean(runner.store, cells) < target:
        return None
    split = {row["backbone"]: row["tensor_parallel"] for row in first.settings["functions"]}
    low, high = min(sum(split.values()), most), most
    best: list[Cell] = []
    while low < high:
        middle = (low + high) // 2
        probe = [cell.with_gpus(middle) for cell in cells]
        done = runner.run(probe, f"{first.system} on {middle} GPUs, {first.scenario}")
        if len(done) < len(probe):
            return None
        if _mean(runner.store, probe) >= target:
            high, best = middle, probe
        else:
            low = middle + 1
    return best or _as_many(cells, most, runner)


def _as_many(cells: Sequence[Cell], gpus: int, runner: Runner) -> list[Cell]:
    return runner.run([cell.with_gpus(gpus) for cell in cells], f"{cells[0].system} on {gpus} GPUs")


def _mean(store: Store, cells: Sequence[Cell]) -> float:
    return sum(attainment(store, cell) for cell in cells) / len(cells)
