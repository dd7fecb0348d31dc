"""``simlora claims``: run or read the experiments behind the claims, judge each, print the table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from simlora.claims.claim import Claim, read_claims
from simlora.claims.deciding import measure_decisions
from simlora.claims.table import claims_tables, deviation
from simlora.claims.verdict import Judged, judge
from simlora.errors import unknown_name
from simlora.results.load import Results, load
from simlora.study.console import show, stderr, stdout
from simlora.study.experiment import read_study
from simlora.study.grid import build_grid
from simlora.study.hashing import cell_key
from simlora.study.regime import survey
from simlora.study.run import Ran, complete
from simlora.study.runner import default_jobs
from simlora.study.store import DONE, Store
from simlora.study.worker import Outcome


def run_claims(where: Path, only: Sequence[str] = (), out: Path = Path("results"), jobs: int | None = None) -> Ran:
    """Judge the claims of ``where``, or of the experiments in ``only``, and print them.

    ``out``: the folder of results folders, each called after its experiment; what is finished there is not run again.
    Raises :class:`SimloraError` for input that does not fit.
    """
    claims = read_claims(where, only)
    judged, failed = judge_all(claims, where, out, default_jobs() if jobs is None else jobs)
    show(*claims_tables(judged))
    stdout().print(deviation(judged))
    return Ran(out, failed.failed)


def judge_all(claims: Sequence[Claim], where: Path, out: Path, jobs: int) -> tuple[list[Judged], Ran]:
    """Each claim with what was found, in their order, and which runs failed on the way."""
    results: dict[str, Results] = {}
    failed: list[Outcome] = []
    for source in dict.fromkeys(claim.source for claim in claims if claim.source):
        stderr().print(f"experiment {source}", markup=False)
        ran = finish(where, source, [claim for claim in claims if claim.source == source], out / source, jobs)
        failed += ran.failed
        results[source] = load(ran.out)
    found = [judge(one, results[one.source]) if one.source else Judged(one, one.verdict) for one in claims]
    return found, Ran(out, tuple(failed))


def finish(where: Path, source: str, claims: Sequence[Claim], out: Path, jobs: int) -> Ran:
    """Have all runs of an experiment in ``out``, and what these claims want timed."""
    path = where / source / "experiment.toml"
    if not path.is_file():
        raise unknown_name("experiment", source, sorted(p.parent.name for p in where.glob("*/experiment.toml")))
    grid = build_grid(read_study(path))
    digests = {traffic.group: traffic.digest for traffic in survey(grid)}
    store = Store(out)
    store.check()
    whole = all(store.holds(cell, cell_key(cell, digests[cell.group])) for cell in grid.cells) and summed_up(out)
    if whole:
        failed: tuple[Outcome, ...] = ()
    else:
        store.create(fresh=False)
        failed = complete(grid, store, digests, jobs).failed
    measure_decisions(claims, grid, digests, out)
    return Ran(out, failed)


def summed_up(out: Path) -> bool:
    """Whether the summary there is of the runs there, none of which was made after it."""
    summary = out / "summary.csv"
    runs = [done.stat().st_mtime for done in out.glob(f"cells/*/*/*/*/{DONE}")]
    return summary.is_file() and summary.stat().st_mtime >= max(runs, default=0.0)
