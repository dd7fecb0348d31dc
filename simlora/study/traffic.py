"""A trace by itself, without an experiment around it."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from simlora.errors import ConfigError, unknown_name
from simlora.study.console import listing
from simlora.study.functions import read_functions
from simlora.study.generated import unnamed
from simlora.study.numbers import written
from simlora.study.overrides import parse_setting
from simlora.study.store import one_message
from simlora.study.workloads import data_dir

if TYPE_CHECKING:
    from rich.table import Table

    from simlora.workload import Workload

MINUTE_S = 60.0
UNNAMED_FUNCTIONS = 8
MOST_ROWS, FEWER_ROWS = 40, 20
COV = "CoV and class: of the times between requests, estimated from counts per minute as InstaInfer's authors do"
FILES = (".csv", ".csv.gz", ".parquet")


@dataclass(frozen=True)
class Traffic:
    """Requests, the functions they are for, and the window they arrive in."""

    workload: Workload
    functions: list[str]
    duration_s: float


def make_traffic(
    trace: str,
    functions: str | None,
    options: Sequence[str],
    lengths: str,
    duration_s: float,
    rate_scale: float,
    seed: int,
) -> Traffic:
    """The traffic of a trace; raises :class:`ConfigError` or :class:`TraceError` as an experiment file would."""
    from simlora.workload import build_workload

    names = _names(trace, functions)
    settings = {setting.key: setting.values[0] for setting in map(parse_setting, options)}
    workload = build_workload(
        trace={"name": trace, **settings} if settings else trace,
        lengths=lengths,
        functions=names,
        duration_s=duration_s,
        rate_scale=rate_scale,
        seed=seed,
        base_dir=Path(),
        data_dir=data_dir(),
    )
    return Traffic(workload, names, duration_s)


def _names(trace: str, functions: str | None) -> list[str]:
    """Of the functions table; made up where only their number is given; else those that a file of requests or counts
    names; else eight made up."""
    if functions is not None and functions.isdecimal():
        return unnamed(int(functions))
    if functions is not None:
        return [row["function"] for row in read_functions(Path(functions))]
    if trace.endswith(FILES):
        from simlora.workload.readers.table import Text, read_columns

        return list(dict.fromkeys(read_columns(Path(trace), {"function": Text("function")})["function"]))
    return unnamed(UNNAMED_FUNCTIONS)


def draw_traffic(traffic: Traffic, stem: Path) -> tuple[Path, ...]:
    """Rate over time and share by rank as ``stem``.pdf, .png and .csv; returns the files."""
    from simlora.plotting.traffic import traffic_picture

    with one_message(stem.parent):
        return traffic_picture(traffic.workload, traffic.functions, traffic.duration_s).save(stem)


def traffic_table(traffic: Traffic) -> Table:
    """One row per function; of more than 40 the busiest 20, and one row for the others together."""
    from simlora.workload import describe

    every = describe(traffic.workload, traffic.functions, traffic.duration_s)
    shown = every
    if len(every) > MOST_ROWS:
        shown = sorted(every, key=lambda one: -one.requests)[:FEWER_ROWS]
    table = listing("function", "requests", "req/s", "share", "CoV", "class", "empty minutes", "longest gap", "tokens")
    for one in shown:
        tokens = f"{one.prompt_tokens_mean:.0f} in, {one.output_tokens_mean:.0f} out" if one.requests else "-"
        table.add_row(
            one.function,
            f"{one.requests:,}",
            written(one.rate_per_s),
            f"{one.share:.1%}",
            f"{one.cov:.2f}",
            one.pattern,
            f"{one.empty_minutes:.0%}",
            f"{one.longest_gap_s:,.0f} s" if one.requests > 1 else "-",
            tokens,
        )
    rest = len(traffic.workload) - sum(one.requests for one in shown)
    if len(shown) < len(every):
        silent = sum(one.requests == 0 for one in every)
        name = f"{len(every) - len(shown)} others" + (f", {silent} without requests" if silent else "")
        table.add_row(name, f"{rest:,}", written(rest / traffic.duration_s), f"{rest / len(traffic.workload):.1%}")
    table.caption = f"{traffic.workload.provenance}\n{COV}"
    return table


def write_traffic(traffic: Traffic, path: Path, to: str) -> str:
    """Write the requests in the format named ``to``; says how many, and who replays it.

    Raises :class:`ConfigError` for an unknown format or a file that does not end as its files do.
    """
    from simlora.workload.exports import FORMATS, NAMES_FUNCTIONS

    if to not in FORMATS:
        raise unknown_name("format", to, FORMATS)
    kind = FORMATS[to]
    if path.suffix not in kind.suffixes:
        others = [name for name, other in FORMATS.items() if path.suffix in other.suffixes]
        hint = f"; --to {' or '.join(others)} writes {path.suffix}" if others else ""
        raise ConfigError(f"{path}: a file of format {to} ends in {' or '.join(kind.suffixes)}{hint}")
    with one_message(path):
        kind.write(path, traffic.workload, traffic.functions)
    lost = "" if to in NAMES_FUNCTIONS else f"; the format does not say for which of {len(traffic.functions)} functions"
    return f"{path}: {len(traffic.workload):,} requests for {kind.description}{lost}"


def write_replica(traffic: Traffic, path: Path, duration_s: float, seed: int) -> None:
    """Fit a model to each function's requests per minute and write a replica of it as ``time, function, count``.

    The model keeps how long functions stay silent, how many requests a busy minute has and the memory of both; it knows
    no trend. A function without requests has none in the replica. Raises :class:`ConfigError` unless ``path`` ends
    in ``.csv``.
    """
    from simlora.workload import fit_segment
    from simlora.workload.workload import stream

    if path.suffix != ".csv":
        raise ConfigError(f"{path}: a file of counts ends in .csv")
    workload, minutes = traffic.workload, math.ceil(traffic.duration_s / MINUTE_S)
    rows: list[tuple[int, str, int]] = []
    for index, name in enumerate(traffic.functions):
        arrived_s = workload.arrived_s[workload.function == index]
        if len(arrived_s):
            model = fit_segment(np.bincount((arrived_s // MINUTE_S).astype(np.int64), minlength=minutes))
            replica = model.sample(stream(seed, "replica", index), math.ceil(duration_s / MINUTE_S))
            rows += [(int(minute * MINUTE_S), name, int(replica[minute])) for minute in np.flatnonzero(replica)]
    with one_message(path), path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("time", "function", "count"))
        writer.writerows(sorted(rows))
