"""All that ``make bench`` measures: a table beside the baseline that is kept here, and a picture of both.

Figures are ratios to bare SimPy measured in turn, so that those of two machines can be compared; nothing is judged.

    python -m benchmarks [--repeats N] [--only WORD ...] [--keep]
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.in_turn import HEADER, Row, print_row, row

BASELINE = Path(__file__).parent / "baseline.csv"
FOLDER = Path(".benchmarks")
SYSTEMS = ("serverless-lora", "serverless-llm", "insta-infer", "vllm")
ONCE: Mapping[str, Sequence[str]] = {
    **{f"request level, {s}": ("benchmarks.request_level", s, "--once", "--requests", "20000") for s in SYSTEMS},
    **{
        f"iteration level, {s}": ("benchmarks.iteration_level", s, "--once", "--requests", "10000", "--gpus", "1")
        for s in ("vllm", "s-lora")
    },
    **{
        f"{functions:,} functions, {gpus} GPUs": ("benchmarks.scale", name, "--once", number, "--share", "0.2")
        for name, number, functions, gpus in (
            ("functions", "1", 100, 64),
            ("functions", "3", 10_000, 64),
            ("gpus", "0", 1_000, 16),
            ("gpus", "3", 1_000, 1_000),
        )
    },
}
"""What is run, by its title; a fifth of the requests of the set-ups of :mod:`benchmarks.scale`."""


def kept() -> dict[str, float]:
    """The baseline: ratios by title."""
    with BASELINE.open(encoding="utf-8", newline="") as lines:
        return {line["title"]: float(line["bare_simpy_over"]) for line in csv.DictReader(lines)}


def write(rows: Sequence[Row], path: Path) -> None:
    """As CSV, the units in the names of its columns."""
    with path.open("w", encoding="utf-8", newline="") as lines:
        out = csv.writer(lines, lineterminator="\n")
        out.writerow(("title", "bare_simpy_over", "requests_per_s", "added_bytes_per_request", "peak_mib"))
        for title, ratio, _, of in rows:
            out.writerow((title, f"{ratio:.1f}", f"{of.per_s:.0f}", f"{of.added_bytes:.0f}", f"{of.peak_mib:.0f}"))


def draw(rows: Sequence[Row], before: Mapping[str, float], path: Path) -> None:
    """A line per set-up, the ratio of now and of the baseline on it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 0.8 + 0.28 * len(rows)), layout="constrained")
    axes = figure.subplots()
    places = range(len(rows))
    axes.plot([before.get(one.title, float("nan")) for one in rows], places, "o", fillstyle="none", label="baseline")
    axes.plot([one.ratio for one in rows], places, "o", label="now")
    axes.set_yticks(places, [one.title for one in rows])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel("bare SimPy time-outs in the time of a request")
    axes.legend()
    figure.savefig(path)


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=[""], metavar="WORD", help="set-ups whose titles have one")
    parser.add_argument("--keep", action="store_true", help="make this the baseline")
    asked = parser.parse_args()
    print(f"median of {asked.repeats}, bare SimPy before each run\n{'set-up':34} {HEADER}")
    rows = []
    for title, once in ONCE.items():
        if any(word in title for word in asked.only):
            rows.append(row(title, once, asked.repeats))
            print_row(rows[-1])
    FOLDER.mkdir(exist_ok=True)
    before = kept() if BASELINE.exists() else {}
    print(f"\n{'set-up':34}    baseline        now   now / baseline")
    for title, ratio, *_ in rows:
        if title in before:
            print(f"{title:34} {before[title]:11.0f} {ratio:10.0f} {ratio / before[title]:16.2f}")
    write(rows, FOLDER / "latest.csv")
    draw(rows, before, FOLDER / "speed.png")
    print(f"\n{FOLDER / 'latest.csv'}, {FOLDER / 'speed.png'}")
    if asked.keep:
        write(rows, BASELINE)


if __name__ == "__main__":
    main()
