"""The figures of a finished run: latency, SLO attainment and cost of every system, and where a request's time went.

Each system with ablations has figures of its own, in which they stand beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from simlora.results.summary import COLUMNS, KEYS
from simlora.study.album import Album
from simlora.study.grid import full_name, gpus_in, named_with
from simlora.study.overrides import BASE
from simlora.study.store import one_message

if TYPE_CHECKING:
    import pandas as pd

    from simlora.results.load import Results

FIGURES = {
    "ttft": ("ttft_mean_s", "ttft_p99_s"),
    "slo": ("slo_attainment", "goodput_req_per_s"),
    "cost": ("cost_usd", "cost_effectiveness"),
}
WHERE_SOME_FAILED = {"failed": ("failed", "finished")}


def write_figures(out: Path, ablations: Mapping[str, str]) -> None:
    """Draw what ``out`` holds into its folder ``figures``, each as PDF and PNG with its data as CSV.

    Pictures that an earlier run drew go, for they would show what is no longer there. One swept key gives curves
    over it, otherwise every point has its bars; of variations the file's own values are drawn. ``ablations``: the base
    of each by its name.
    """
    from simlora.results.load import Results, load

    results = load(out)
    summary = results.summary
    if (summary["point"] == BASE).any():
        summary = summary[summary["point"] == BASE][[*KEYS, *COLUMNS]]
        results = Results(out, tuple(cell for cell in results.cells if cell.point == BASE))
    casts = dict(_casts(summary["system"].unique(), ablations))
    with one_message(out):
        album = Album(out / "figures")
        album.clear()
        for of, cast in casts.items():
            _of_summary(summary, of, cast, album)
        _of_requests(results, casts, album)


def _casts(systems: Iterable[str], ablations: Mapping[str, str]) -> Iterator[tuple[str, list[str]]]:
    """Who is in which set of figures, and what is added to the names of its files."""
    present = list(systems)
    if own := [name for name in present if full_name(name) not in ablations]:
        yield "", own
    for base in dict.fromkeys(ablations.values()):
        beside = [name for name in present if ablations.get(full_name(name)) == base]
        if beside:
            yield f"ablations-of-{base}-", [*(name for name in present if name == base), *beside]


def _of_summary(summary: pd.DataFrame, of: str, cast: Sequence[str], album: Album) -> None:
    """Per point the bars of all scenarios, or curves over the one key that is swept."""
    from simlora.plotting import bars, plot

    everyone = summary["system"].unique()
    frame = drawn_systems(summary[summary["system"].isin(cast)])
    swept = [name for name in frame if name not in (*KEYS, *COLUMNS)]
    for name, columns in (FIGURES | (WHERE_SOME_FAILED if frame["failed"].any() else {})).items():
        if len(swept) == 1:
            for column in columns:
                picture = plot(frame, str(swept[0]), column, curve="system", col="scenario", systems=everyone)
                album.add(picture, f"{of}{column}-by-{swept[0]}")
            continue
        for point, rows in frame.groupby("point", sort=False):
            album.add(bars(rows, columns, systems=everyone), _stem(f"{of}{name}", str(point)))


def _of_requests(results: Results, casts: Mapping[str, Sequence[str]], album: Album) -> None:
    """Per scenario and point the phases of a mean request, and of the first cast all TTFTs and one run's GPU memory."""
    from simlora.plotting import breakdown_bars, memory_over_time, ttft_cdf

    everyone = results.summary["system"].unique()
    first: dict[tuple[str, str], int] = {}
    for cell in results.cells:
        first[cell.scenario, cell.point] = min(cell.seed, first.get((cell.scenario, cell.point), cell.seed))
    for (scenario, point), seed in first.items():
        phases = results.breakdown(scenario=scenario, point=point)
        for of, cast in casts.items():
            if len(shown := phases[phases["system"].isin(cast)]):
                album.add(breakdown_bars(shown, systems=everyone), _stem(f"{of}breakdown-{scenario}", point))
        own = next(iter(casts.values()))
        requests = results.requests(scenario=scenario, point=point)
        if len(shown := requests[requests["system"].isin(own)]):
            album.add(ttft_cdf(shown, systems=everyone), _stem(f"ttft-cdf-{scenario}", point))
        usage = results.usage(scenario=scenario, point=point, seed=seed)
        shown = usage[usage["system"].isin(own)]
        if (shown["holder"] != "gpu").any():
            album.add(memory_over_time(shown, width="text", systems=everyone), _stem(f"memory-{scenario}", point))


def _stem(name: str, point: str) -> str:
    return name if point == "base" else f"{name}-{point}"


def drawn_systems(frame: pd.DataFrame) -> pd.DataFrame:
    """A table in which an always-on system with the fewest GPUs has one name: where their number differs between
    scenarios, points or seeds, ``vllm (2 to 4 GPUs)``.
    """
    numbers: dict[str, list[int]] = {}
    for name in frame["system"].unique():
        if (gpus := gpus_in(name)) is not None:
            numbers.setdefault(full_name(name), []).append(gpus)
    drawn = {
        name: name if gpus_in(name) is None else named_with(full_name(name), numbers[full_name(name)])
        for name in frame["system"].unique()
    }
    return frame.assign(system=frame["system"].map(drawn))
