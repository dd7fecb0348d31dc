"""A note of the run that a process is at: how far it is, and the line it has reached, read when it has died or was
interrupted.

It lies beside the results, so that neither the end of the process nor that of its parent loses it.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial
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
def watched(cell: Cell, out: Path) -> Iterator[Callable[[float], None]]:
    """While inside, note every second where this process is, and the share of the run that it last said was done.

    The note stays if what is inside is interrupted. Raises :class:`ConfigError` where nothing can be written.
    """
    note = out / NOTES / f"{os.getpid()}"
    with one_message(out):
        note.parent.mkdir(parents=True, exist_ok=True)
        _write(note, str(cell.folder))
    over, observed, done = threading.Event(), threading.get_ident(), [0.0]

    def watch() -> None:
        while True:
            here = place(sys._current_frames()[observed], Path(cell.base_dir))
            with suppress(OSError):  # the run itself will tell, where it writes more than this
                _write(note, f"{cell.folder}\n{here}\n{done[0]}")
            if over.wait(LOOK_S):
                return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield partial(done.__setitem__, 0)
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
            folder, line, *_ = [*note.read_text(encoding="utf-8").split("\n"), ""]
            found[Path(folder)] = line
        note.unlink(missing_ok=True)
    return found


def shares_done(out: Path) -> float:
    """Of all runs under way, in runs: two that are half done are one."""
    done = 0.0
    for note in sorted((out / NOTES).glob("*")):
        with suppress(OSError, ValueError, IndexError):  # it ends meanwhile, or has said nothing yet
            done += float(note.read_text(encoding="utf-8").split("\n")[2])
    return done


def running(folder: Path, line: str) -> str:
    """A note in words."""
    return f"{folder} (at {line})" if line else str(folder)
