"""Run what is not finished yet, side by side, and keep whatever finishes."""

from __future__ import annotations

import os
import re
import signal
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import resource_tracker

from simlora.errors import ConfigError
from simlora.policies.base import ROLES
from simlora.study.grid import Cell, Group
from simlora.study.hashing import cell_key
from simlora.study.progress import Progress
from simlora.study.store import Store
from simlora.study.watch import end_with, running, shares_done, take_notes
from simlora.study.worker import Outcome, Terms, of_a_run, run_cell

Keyed = tuple[Cell, str]


class Interrupted(KeyboardInterrupt):
    """Ctrl-C while runs were under way; the text says which, and where they were."""


@dataclass
class Runner:
    """Runs cells into ``store`` with ``jobs`` processes of their own; with none, in this one, which a policy can end.

    ``digests``: of each workload, by the group that sees it.
    """

    store: Store
    jobs: int
    stepwise: bool
    progress: Progress
    digests: Mapping[Group, str]
    limit_s: float | None = None
    failed: list[Outcome] = field(default_factory=list)

    def run(self, cells: Sequence[Cell], title: str) -> list[Cell]:
        """Run the cells that are not finished with their present key; returns those that now are.

        Failures are collected in ``failed``. Raises :class:`ConfigError` where nothing more can be kept, and
        :class:`Interrupted` on Ctrl-C.
        """
        keys = {cell.folder: cell_key(cell, self.digests[cell.group], self.stepwise) for cell in cells}
        finished = [cell for cell in cells if self.store.has(cell, keys[cell.folder])]
        pending = [cell for cell in cells if cell.folder not in {done.folder: None for done in finished}]
        self.progress.begin(title, len(cells), len(finished))
        for outcome in self._unless_interrupted([(cell, keys[cell.folder]) for cell in pending]):
            if outcome.fatal:
                raise ConfigError(outcome.error)
            self.progress.one_more()
            if outcome.error:
                self.failed.append(outcome)
            else:
                finished.append(outcome.cell)
        order = {cell.folder: at for at, cell in enumerate(cells)}
        return sorted(finished, key=lambda cell: order[cell.folder])

    def _unless_interrupted(self, pending: Sequence[Keyed]) -> Iterator[Outcome]:
        try:
            if not self.jobs:
                yield from self._here(pending)
                return
            with self.progress.following(partial(shares_done, self.store.out)):
                yield from self._elsewhere(pending)
        except KeyboardInterrupt:
            raise Interrupted(", ".join(running(*note) for note in take_notes(self.store.out).items())) from None

    @property
    def _terms(self) -> Terms:
        return Terms(self.store.out, self.stepwise, self.limit_s)

    def _here(self, pending: Sequence[Keyed]) -> Iterator[Outcome]:
        for cell, key in pending:
            yield run_cell(cell, key, self._terms, of_a_run(cell, self.progress.within))

    def _elsewhere(self, pending: Sequence[Keyed]) -> Iterator[Outcome]:
        """Of a pool that broke as one of its workers died, what was running is tried alone, and the rest goes on."""
        left = {cell.folder: (cell, key) for cell, key in pending}
        while left:
            try:
                for outcome in self._pool([*left.values()]):
                    del left[outcome.cell.folder]
                    yield outcome
            except BrokenProcessPool:
                suspects = [folder for folder in take_notes(self.store.out) if folder in left] or [*left]
                for folder in suspects:
                    yield self._alone(*left.pop(folder))

    def _alone(self, cell: Cell, key: str) -> Outcome:
        try:
            [outcome] = self._pool([(cell, key)])
        except BrokenProcessPool as error:
            take_notes(self.store.out)
            return Outcome(
                cell, f"the process that ran it{_own_policies(cell)} ended on the way ({_how_it_ended(error)})"
            )
        return outcome

    def _pool(self, pending: Sequence[Keyed]) -> Iterator[Outcome]:
        import joblib

        workers = max(self.jobs, 2)  # for one job joblib begins no process; the second of two waits in vain
        pool = joblib.Parallel(
            workers,
            return_as="generator_unordered",
            batch_size=1,
            pre_dispatch=self.jobs,
            initializer=end_with,
            initargs=(os.getpid(),),
        )
        with _ctrl_c_is_for_this_process():
            outcomes = pool(joblib.delayed(run_cell)(cell, key, self._terms) for cell, key in pending)
        try:
            for outcome in outcomes:  # noqa: UP028 - its end, too, belongs to what follows
                yield outcome
        finally:
            with warnings.catch_warnings(action="ignore"):  # that it gives up what nobody waits for any more
                outcomes.close()


@contextmanager
def _ctrl_c_is_for_this_process() -> Iterator[None]:
    """A terminal interrupts all its processes; those begun inside are deaf to it, even before their first line.

    This one ends them and says what was kept; for it a Ctrl-C meanwhile only waits.
    """
    resource_tracker.ensure_running()  # it clears the mask when it starts, so it must be there already
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _own_policies(cell: Cell) -> str:
    """Those of the user's own, one of which may be what ended the process."""
    named = [str(getattr(cell.config, role)["policy"]) for role in ROLES]
    own = dict.fromkeys(name for name in named if ":" in name)
    return f" with {', '.join(own)}" if own else ""


def _how_it_ended(error: BrokenProcessPool) -> str:
    """``exit code 3`` or ``SIGKILL``, from what loky says of the workers."""
    found = re.search(r"\{(\w+)\((-?\d+)\)", str(error))
    if found is None:
        return "how is not known"
    return f"exit code {found[2]}" if found[1] == "EXIT" else found[1]


def default_jobs() -> int:
    """As many processes as the machine has processors."""
    return os.cpu_count() or 1
