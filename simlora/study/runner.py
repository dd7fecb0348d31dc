"""Run what is not finished yet, side by side, and keep whatever finishes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from simlora.errors import ConfigError
from simlora.study.grid import Cell, Group
from simlora.study.hashing import cell_key
from simlora.study.progress import Progress
from simlora.study.store import Store
from simlora.study.worker import Outcome, run_cell


@dataclass
class Runner:
    """Runs cells into ``store`` with ``jobs`` processes. ``digests``: of each workload, by the group that sees it."""

    store: Store
    jobs: int
    stepwise: bool
    progress: Progress
    digests: Mapping[Group, str]
    failed: list[Outcome] = field(default_factory=list)

    def run(self, cells: Sequence[Cell], title: str) -> list[Cell]:
        """Run the cells that are not finished with their present key; returns those that now are.

        Failures are collected in ``failed``. Raises :class:`ConfigError` where nothing more can be kept.
        """
        keys = {cell.folder: cell_key(cell, self.digests[cell.group], self.stepwise) for cell in cells}
        finished = [cell for cell in cells if self.store.has(cell, keys[cell.folder])]
        pending = [cell for cell in cells if cell.folder not in {done.folder: None for done in finished}]
        self.progress.begin(title, len(cells), len(finished))
        for outcome in self._outcomes([(cell, keys[cell.folder]) for cell in pending]):
            if outcome.fatal:
                raise ConfigError(outcome.error)
            self.progress.one_more()
            if outcome.error:
                self.failed.append(outcome)
            else:
                finished.append(outcome.cell)
        order = {cell.folder: at for at, cell in enumerate(cells)}
        return sorted(finished, key=lambda cell: order[cell.folder])

    def _outcomes(self, pending: Sequence[tuple[Cell, str]]) -> Iterable[Outcome]:
        if self.jobs == 1 or len(pending) == 1:
            return self._here(pending)
        return self._elsewhere(pending)

    def _here(self, pending: Sequence[tuple[Cell, str]]) -> Iterator[Outcome]:
        for cell, key in pending:
            advance = self.progress.within(cell.settings["workload"]["duration_s"])
            yield run_cell(cell, key, self.store.out, self.stepwise, advance)

    def _elsewhere(self, pending: Sequence[tuple[Cell, str]]) -> Iterator[Outcome]:
        import joblib

        if not pending:
            return
        pool = joblib.Parallel(
            n_jobs=min(self.jobs, len(pending)),
            return_as="generator_unordered",
            batch_size=1,
            initializer=_leave_ctrl_c_to_the_parent,
        )
        calls = (joblib.delayed(run_cell)(cell, key, self.store.out, self.stepwise) for cell, key in pending)
        yield from pool(calls)


def _leave_ctrl_c_to_the_parent() -> None:
    """A terminal interrupts all its processes; one of them ends the others and says what was kept."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def default_jobs() -> int:
    """As many processes as the machine has processors."""
    return os.cpu_count() or 1
