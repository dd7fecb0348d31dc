"""``simlora arena``: the contract first, then the grid, then who stands where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from simlora.arena.ranking import ORDERS, Standing, rank
from simlora.arena.tables import ranking_rows, ranking_tables
from simlora.arena.template import experiment, name_of_yours, references, ring_of, scenarios, write_experiment
from simlora.arena.timing import measure_all
from simlora.errors import ConfigError, PolicyError, unknown_name
from simlora.study.album import Album
from simlora.study.console import show, stderr
from simlora.study.experiment import read_study
from simlora.study.grid import build_grid
from simlora.study.manifest import write_manifest
from simlora.study.overrides import parse_setting
from simlora.study.progress import Progress
from simlora.study.regime import survey
from simlora.study.run import Ran
from simlora.study.runner import Runner, default_jobs
from simlora.study.store import Store, one_message
from simlora.study.summary import write_rows, write_summary
from simlora.study.systems import load_prices
from simlora.study.worker import Outcome


def run_arena(
    role: str,
    policy: str,
    keys: Sequence[str] = (),
    seeds: int = 8,
    jobs: int | None = None,
    out: Path | None = None,
    by: str = "ttft",
) -> Ran:
    """Run ``policy`` (``module:Class``, or a registered name) against every registered policy of its role; print ranks.

    ``keys``: ``--key=value`` of the policy; ``by``: one of ``ORDERS``. What is finished of an earlier arena in ``out``
    is not run again, so the next policy of the role costs its own runs alone. Raises :class:`PolicyError` for a policy
    that breaks its role's contract, before anything is run, and :class:`ConfigError` for input that does not fit.
    """
    base = ring_of(role).base
    if by not in ORDERS:
        raise unknown_name("order", by, ORDERS)
    options = {"policy": policy, **dict(map(_key, keys))}
    yours = name_of_yours(policy)
    store = Store(out or Path("results", f"arena-{role}"))
    store.check()
    check_contract(role, options)
    study = read_study(write_experiment(experiment(role, options, seeds), store.out))
    grid = build_grid(study)
    digests = {traffic.group: traffic.digest for traffic in survey(grid)}
    store.create(fresh=False)
    write_manifest(grid, store.out, ["simlora", "arena", role, policy, *keys, "--seeds", str(seeds)])
    with Progress() as progress:
        runner = Runner(store, default_jobs() if jobs is None else jobs, False, progress, digests)
        finished = runner.run(grid.cells, f"{len(grid.systems['base'])} policies in {len(scenarios())} scenarios")
        times = measure_all(finished, digests, role, store.out, progress)
    store.keep_only(finished)
    rows, _ = write_summary(store, finished, load_prices(study.experiment, study.document))
    standings = rank(rows, yours, by, references(role))
    write_rows(store.out / "ranking.csv", ranking_rows(standings, yours))
    _draw(standings, yours, by, store.out)
    for table in ranking_tables(standings, times, {name: s["why"] for name, s in scenarios().items()}, yours, by):
        show(table)
    _say_who_failed(runner.failed, base, yours)
    return Ran(store.out, tuple(outcome for outcome in runner.failed if outcome.cell.system == yours))


def _draw(standings: Sequence[Standing], yours: str, by: str, out: Path) -> None:
    import pandas as pd

    from simlora.plotting.standings import standings_figure

    with one_message(out):
        album = Album(out / "figures")
        album.clear()
        album.add(standings_figure(pd.DataFrame(ranking_rows(standings, yours)), ORDERS[by].column), "arena")


def _say_who_failed(failed: Sequence[Outcome], base: str, yours: str) -> None:
    """One line for each rival that could not run: not every registered policy fits the role's system."""
    first: dict[str, Outcome] = {}
    for outcome in failed:
        if outcome.cell.system != yours:
            first.setdefault(outcome.cell.system, outcome)
    for policy, outcome in first.items():
        count = sum(one.cell.system == policy for one in failed)
        text = f"{policy}: {count} runs of {base} failed with it, as {outcome.cell.scenario}: {outcome.error}"
        stderr().print(text, markup=False, soft_wrap=True)


def check_contract(role: str, options: Mapping[str, Any]) -> None:
    """Raise :class:`PolicyError` with the first law of its role's contract that the policy breaks."""
    from simlora.testing.configured import first_broken_law

    with stderr().status(f"contract of {role}"):
        broken = first_broken_law(role, options, Path())
    if broken:
        raise PolicyError(f"{options['policy']} breaks the contract of the role {role}: {broken}")


def _key(text: str) -> tuple[str, Any]:
    """A key of the policy and its value, from ``--key=value``."""
    if not text.startswith("--") or "=" not in text:
        raise ConfigError(f"{text}: a key of the policy is written --key=value")
    key, values = parse_setting(text.removeprefix("--"))
    if len(values) != 1:
        raise ConfigError(f"{text}: a policy has one value for each key")
    return key.replace("-", "_"), values[0]
