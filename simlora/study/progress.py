"""A live line on the terminal: runs done, time taken, time left."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from simlora.study.console import stderr

if TYPE_CHECKING:
    from rich.progress import TaskID


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

    def within(self, duration_s: float) -> Callable[[float], None]:
        """For a run in this process: moves the bar with its simulated time."""
        before = self._finished
        return lambda now_s: self._show(before + min(now_s / duration_s, 1.0))

    def _show(self, completed: float) -> None:
        if self._task is not None:
            self._bars.update(self._task, completed=completed, finished=self._finished)
