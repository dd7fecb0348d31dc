"""A note of the run that a process is at and of the line it has reached, read when it has died or was interrupted.

It lies beside the results, so that neither the end of the process nor that of its parent loses it.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from simlora.study.grid import Cell
from simlora.study.places import place
from simlora.study.store import PARTIAL, one_message

LOOK_S = 1.0
ORPHANED = 1
NOTES = Path(PARTIAL, "running")


@cache
def end_with(parent: int) -> None:
    """End this process, be it at work or idle, once ``parent`` is its parent no more."""

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK_S)
        os._exit(ORPHANED)

    threading.Thread(target=look, daemon=True).start()


@contextmanager
def watched(cell: Cell, out: Path) -> Iterator[None]:
    """While inside, note every second where this process is.

    The note stays if what is inside is interrupted. Raises :class:`ConfigError` where nothing can be written.
    """
    note = out / NOTES / f"{os.getpid()}"
    with one_message(out):
        note.parent.mkdir(parents=True, exist_ok=True)
        _write(note, str(cell.folder))
    over, observed = threading.Event(), threading.get_ident()

    def watch() -> None:
        while True:
            here = place(sys._current_frames()[observed], Path(cell.base_dir))
            with suppress(OSError):  # the run itself will tell, where it writes more than this
                _write(note, f"{cell.folder}\n{here}")
            if over.wait(LOOK_S):
                return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    except BaseException:
        over.set()
        raise
    over.set()
    watcher.join()
    note.unlink(missing_ok=True)


def _write(note: Path, text: str) -> None:
    new = note.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.replace(note)


def take_notes(out: Path) -> dict[Path, str]:
    """The folders of the cells that were being run, each with the line reached or nothing; the notes are gone then."""
    found: dict[Path, str] = {}
    for note in sorted((out / NOTES).glob("*")):
        if not note.suffix:
            folder, _, line = note.read_text(encoding="utf-8").partition("\n")
            found[Path(folder)] = line
        note.unlink(missing_ok=True)
    return found


def running(folder: Path, line: str) -> str:
    """A note in words."""
    return f"{folder} (at {line})" if line else str(folder)
