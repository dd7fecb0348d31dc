"""A live line on the terminal: runs done, time taken, time left."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from simlora.study.console import stderr

if TYPE_CHECKING:
    from rich.progress import TaskID

ASKED_EVERY_S = 1.0


class Progress:
    """A bar for each round of cells; use it as a context. Silent where the output is no terminal."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        count = TextColumn("{task.fields[finished]} of {task.total:.0f} runs,")
        left = (TimeElapsedColumn(), TextColumn("gone,"), TimeRemainingColumn(), TextColumn("left"))
        title = TextColumn("{task.description}")
        self._bars = Bars(title, BarColumn(), count, *left, console=stderr(), transient=True)
        self._task: TaskID | None = None
        self._finished = 0

    def __enter__(self) -> Progress:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def begin(self, title: str, cells: int, finished: int) -> None:
        """A round of ``cells`` runs begins, of which some are finished already."""
        if self._task is not None:
            self._bars.remove_task(self._task)
        self._finished = finished
        self._task = self._bars.add_task(title, total=cells, completed=finished, finished=finished)

    def one_more(self) -> None:
        """A run has ended."""
        self._finished += 1
        self._show(self._finished)

    def within(self, share: float) -> None:
        """So much is done of the runs under way, in runs."""
        self._show(self._finished + share)

    @contextmanager
    def following(self, share: Callable[[], float]) -> Iterator[None]:
        """While inside, ask every second what is done of the runs under way, where anybody looks."""
        over = threading.Event()

        def follow() -> None:
            while not over.wait(ASKED_EVERY_S):
                self.within(share())

        if self._bars.console.is_terminal:
            threading.Thread(target=follow, daemon=True).start()
        try:
            yield
        finally:
            over.set()

    def _show(self, completed: float) -> None:
        if self._task is not None:
            self._bars.update(self._task, completed=completed, finished=self._finished)
