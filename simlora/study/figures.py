"""The figures of a finished run: latency, SLO attainment and cost of every system, and where a request's time went."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from simlora.results.summary import COLUMNS, KEYS
from simlora.study.album import Album
from simlora.study.grid import full_name
from simlora.study.store import one_message

if TYPE_CHECKING:
    import pandas as pd

    from simlora.results.load import Results

FIGURES = {
    "ttft": ("ttft_mean_s", "ttft_p99_s"),
    "slo": ("slo_attainment", "goodput_req_per_s"),
    "cost": ("cost_usd", "cost_effectiveness"),
}


def write_figures(out: Path) -> None:
    """Draw what ``out`` holds into its folder ``figures``, each as PDF and PNG with its data as CSV.

    Pictures that an earlier run drew go, for they would show what is no longer there. One swept key gives curves
    over it, otherwise every point has its bars.
    """
    from simlora.plotting import bars, plot
    from simlora.results.load import load

    results = load(out)
    frame = drawn_systems(results.summary)
    swept = [name for name in frame if name not in (*KEYS, *COLUMNS)]
    with one_message(out):
        album = Album(out / "figures")
        album.clear()
        for name, columns in FIGURES.items():
            if len(swept) == 1:
                for column in columns:
                    picture = plot(frame, str(swept[0]), column, curve="system", col="scenario")
                    album.add(picture, f"{column}-by-{swept[0]}")
                continue
            for point, rows in frame.groupby("point", sort=False):
                album.add(bars(rows, columns, systems=frame["system"]), _stem(name, str(point)))
        _of_requests(results, frame["system"], album)


def _of_requests(results: Results, systems: pd.Series[str], album: Album) -> None:
    """Per scenario and point the distribution of TTFT, the phases of a mean request, and one run's GPU memory."""
    from simlora.plotting import breakdown_bars, memory_over_time, ttft_cdf

    first: dict[tuple[str, str], int] = {}
    for cell in results.cells:
        first[cell.scenario, cell.point] = min(cell.seed, first.get((cell.scenario, cell.point), cell.seed))
    for (scenario, point), seed in first.items():
        requests = drawn_systems(results.requests(scenario=scenario, point=point))
        album.add(ttft_cdf(requests, systems=systems), _stem(f"ttft-cdf-{scenario}", point))
        phases = drawn_systems(results.breakdown(scenario=scenario, point=point))
        album.add(breakdown_bars(phases, systems=systems), _stem(f"breakdown-{scenario}", point))
        usage = drawn_systems(results.usage(scenario=scenario, point=point, seed=seed))
        if len(usage):
            album.add(memory_over_time(usage, width="text", systems=systems), _stem(f"memory-{scenario}", point))


def _stem(name: str, point: str) -> str:
    return name if point == "base" else f"{name}-{point}"


def drawn_systems(frame: pd.DataFrame) -> pd.DataFrame:
    """A table in which an always-on system with the fewest GPUs has one name, whatever their number."""
    names = {name: _fewest_as_one(name) for name in frame["system"].unique()}
    return frame.assign(system=frame["system"].map(names))


def _fewest_as_one(system: str) -> str:
    return system if full_name(system) == system else f"{full_name(system)} (fewest GPUs)"
