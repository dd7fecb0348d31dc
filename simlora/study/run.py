"""``simlora run``: from an experiment file to a results folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from simlora.study.console import show, stderr, stdout
from simlora.study.drawn import model_tables, without_drawn
from simlora.study.estimate import estimate_minutes
from simlora.study.experiment import read_study
from simlora.study.fewest import add_fewest
from simlora.study.figures import write_figures
from simlora.study.grid import Cell, Grid, Group, build_grid
from simlora.study.hashing import cell_key
from simlora.study.manifest import write_manifest
from simlora.study.overrides import parse_setting
from simlora.study.progress import Progress
from simlora.study.regime import Traffic, regime_table, regimes, survey
from simlora.study.runner import Runner, default_jobs
from simlora.study.store import Store
from simlora.study.summary import Row, write_by_function, write_summary
from simlora.study.systems import load_prices
from simlora.study.tables import tables
from simlora.study.trust import trust_box
from simlora.study.worker import Outcome

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True)
class Ran:
    """Where the results are, if any were ``written``, which cells failed, how many are ``left`` for lack of time."""

    out: Path
    failed: tuple[Outcome, ...] = ()
    written: bool = True
    left: int = 0


def default_out(path: Path) -> Path:
    """``results/<experiment>`` where one stands; an ``experiment.toml`` is called after its folder."""
    return Path("results", path.resolve().parent.name if path.stem == "experiment" else path.stem)


def validation_of(out: Path) -> Path:
    """The folder beside a results folder in which ``simlora validate`` puts what it compares."""
    return out.with_name(f"{out.name}-validation")


def run_experiment(
    path: str | Path,
    out: str | Path | None = None,
    sets: Sequence[str] = (),
    jobs: int | None = None,
    dry_run: bool = False,
    fresh: bool = False,
    stepwise: bool = False,
) -> Ran:
    """Run what is not finished yet of an experiment and print what came of it.

    ``sets``: ``key=value[,value]`` put over the file; ``jobs``: processes, 0 for this one, so that
    a debugger sees the policies; ``fresh``: forget earlier runs; ``stepwise``: one engine step at
    a time. Raises :class:`SimloraError` for input that does not fit, before anything is run.
    """
    path = Path(path)
    store = Store(Path(out or default_out(path)))
    store.check()
    grid = build_grid(read_study(path, [parse_setting(text) for text in sets]))
    traffic = survey(grid)
    engine = next(iter(grid.systems.values()))
    show(regime_table(regimes(grid, traffic), next(iter(engine.values())).profile.engine.name))
    jobs = default_jobs() if jobs is None else jobs
    digests = {t.group: t.digest for t in traffic}
    if dry_run:
        unfinished = [c for c in grid.cells if fresh or not store.holds(c, cell_key(c, digests[c.group], stepwise))]
        _announce(grid, unfinished, traffic, jobs or 1)
        return Ran(store.out, written=False)
    options = [*(part for text in sets for part in ("--set", text)), *(["--stepwise"] if stepwise else [])]
    store.create(fresh)
    finished = complete(grid, store, digests, jobs, options, stepwise)
    if finished.cells:
        show(*finished.tables())
    return Ran(store.out, finished.failed)


@dataclass(frozen=True)
class Finished:
    """The runs of a grid that are finished, written to its results folder with all that is made of them."""

    out: Path
    cells: list[Cell]
    rows: list[Row]
    facts: list[Row]
    failed: tuple[Outcome, ...]

    def tables(self) -> Iterator[RenderableType]:
        """What to show of them."""
        bounds = [cell.system for cell in self.cells if cell.config.evaluation == "relaxation"]
        yield from tables(without_drawn(self.rows), bounds)
        yield from model_tables(self.rows)
        yield trust_box(self.cells, self.facts, validation_of(self.out))


def complete(
    grid: Grid,
    store: Store,
    digests: Mapping[Group, str],
    jobs: int,
    options: Sequence[str] = (),
    stepwise: bool = False,
) -> Finished:
    """Run what is not finished yet, and write summaries and figures.

    ``digests``: of each workload; ``options``: of the command line that does the same.
    """
    write_manifest(grid, store.out, ["simlora", "run", grid.study.document.path.as_posix(), *options])
    with Progress() as progress:
        runner = Runner(store, jobs, stepwise, progress, digests, grid.study.experiment.cell_timeout_s)
        finished = runner.run(grid.cells, "runs")
        finished += add_fewest(grid, finished, runner, stderr().print)
    cells = grid.in_order(finished)
    store.keep_only(cells)
    rows: list[Row] = []
    facts: list[Row] = []
    if cells:
        rows, facts = write_summary(store, cells, load_prices(grid.study.experiment, grid.study.document))
        write_by_function(store, cells, facts)
        write_figures(store.out, {one.name: one.base for one in grid.study.experiment.ablation})
    return Finished(store.out, cells, rows, facts, tuple(runner.failed))


def _announce(grid: Grid, unfinished: Sequence[Cell], traffic: Sequence[Traffic], jobs: int) -> None:
    count = len(grid.cells)
    if not unfinished:
        stdout().print(f"{count} runs, all of them finished")
        return
    requests = {t.group: t.requests for t in traffic}
    total = sum(requests[cell.group] for cell in unfinished)
    minutes = estimate_minutes(unfinished, requests, jobs)
    time = f"about {minutes:.0f} minutes" if minutes >= 1 else "under a minute"
    processes = f"{jobs} {'process' if jobs == 1 else 'processes'}"
    stdout().print(
        f"{count} runs, {count - len(unfinished)} of them finished; to run: {len(unfinished)} with {total:,} requests, "
        f"{time} with {processes} (by a pilot of each system here)"
    )
    if any(system.fewest for systems in grid.systems.values() for system in systems.values()):
        stdout().print("and the runs that find how few GPUs the always-on systems need")
